import type { StoredEvent } from '../../db/audit/reading.ts'
import type { Database } from '../../db/database.ts'
import type { AccountChains } from '../accountStates/chains.ts'
import type { AuditKeys } from '../audit/auditKeys.ts'
import type { ParsedLeaf } from '../audit/leaf.ts'
import { checkRecord } from '../auditVerification/checkRecord.ts'
import { readPrunings } from '../auditVerification/prunings.ts'
import { hasKeyChange } from '../auditVerification/records.ts'
import { collectStates, stateTypes } from './collectStates.ts'

/** The states of accounts that the records of the log say. */
export interface AccountStates {
  readonly chains: AccountChains
  /** Reads the records up to a size. */
  readTo(size: number): Promise<void>
  /** Whether the log covers every account that this service knows. */
  isComplete(): boolean
  /** Hashes of the salt. One, unless someone changed it. */
  readonly salts: ReadonlySet<string>
  /** Whether the log does not begin at its first record. */
  readonly isPruned: boolean
  /** Whether the log has all records of what the pruned ones said. */
  readonly isCarried: boolean
  /** Returns whether records were pruned that may not have been read before. */
  isOvertaken(): Promise<boolean>
}

const pageSize = 100

export interface ReadOptions {
  /** Whether to read the states of an account. The default is all. */
  readonly includes?: (id: string) => boolean
  /** Gets the accounts of records below the size. */
  readonly onAccount?: (id: string) => void
  /** Called after each page of records. Ends the reading if it throws. */
  readonly onPage?: () => void | Promise<void>
}

/**
 * Reads the states up to a size. Records that are missing or wrong are for the verification of the
 * log to find.
 */
export async function readAccountStates(
  audit: Database['audit'],
  keys: AuditKeys,
  size: number,
  { includes, onAccount = () => {}, onPage = () => {} }: ReadOptions = {},
): Promise<AccountStates> {
  // In this order: what was pruned by now is planned in a record, which has the states before it.
  const pruned = await prunedBelow(audit)
  const isKeyChanged = await hasKeyChange(audit, keys, (await audit.readHead(() => [])).size)
  const prunings = await readPrunings(audit, keys, isKeyChanged)
  const head = await audit.readHead(() => [])
  const start = prunings.plannedFrom(pruned)
  const states = collectStates({ includes })
  const eachRecord = async (
    criteria: { readonly types: readonly string[]; readonly from: number; readonly before: number },
    take: (leaf: ParsedLeaf, index: number) => void,
  ) => {
    let { from } = criteria
    for (;;) {
      const page = await audit.listEvents({ ...criteria, from, limit: pageSize })
      for (const event of page) {
        const leaf = trustedLeaf(keys, event, isKeyChanged)
        if (leaf) take(leaf, event.index)
      }
      from = (page.at(-1)?.index ?? from) + 1
      await onPage()
      if (page.length < pageSize) return
    }
  }
  // They say what was before all that remains.
  if (start > 0)
    await eachRecord({ types: ['audit.baseline'], from: start, before: head.size }, (leaf) =>
      states.addCarried(leaf, start),
    )
  let end = start
  const readTo = async (next: number) => {
    await eachRecord({ types: stateTypes, from: end, before: next }, (leaf, index) => {
      for (const id of states.add(leaf, index)) onAccount(id)
    })
    end = Math.max(end, next)
  }
  await readTo(size)
  return {
    chains: states.chains,
    readTo,
    isComplete: states.isComplete,
    salts: states.salts,
    isPruned: start > 0,
    isCarried: states.carried() >= prunings.carriedAt(start),
    isOvertaken: async () => (await prunedBelow(audit)) > start,
  }
}

/** Returns how far the log is pruned. Someone may have lowered what the database says. */
async function prunedBelow(audit: Database['audit']): Promise<number> {
  const { minimumIndex } = await audit.readPruning()
  const [first] = await audit.listEvents({ from: 0, limit: 1 })
  return Math.max(minimumIndex, first?.index ?? 0)
}

function trustedLeaf(keys: AuditKeys, event: StoredEvent, isKeyChanged: boolean): ParsedLeaf | undefined {
  const { leaf, sealProblem } = checkRecord(keys, event)
  return sealProblem === undefined || isKeyChanged ? leaf : undefined
}
