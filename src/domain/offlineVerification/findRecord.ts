import type { ParsedLeaf } from '../audit/leaf.ts'
import type { Find } from '../auditVerification/findings.ts'

/** Reports a problem of a record, whose leaf is undefined if the service did not write it. */
export type RecordFind = (index: number, leaf: ParsedLeaf | undefined, problem: string) => void

export function recordFinder(find: Find): RecordFind {
  return (index, leaf, problem) => {
    if (leaf) find(problem, { index, time: leaf.time, type: leaf.type })
    else find(`record ${index} ${problem}`)
  }
}

/** Returns where the change is, if it can be told. */
export function spanText(first: number, last: number): string {
  if (last < first) return ''
  return `: the change is in ${first === last ? `record ${first}` : `records ${first} to ${last}`}`
}
