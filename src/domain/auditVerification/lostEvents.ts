import type { AuditDeps } from '../audit/audited.ts'
import type { AuditRecord } from '../audit/record.ts'
import { rangesText } from '../eventNumbers/ranges.ts'
import { checkLog } from './verify.ts'

/** Ranges that one record lists. */
const maxListed = 200

/**
 * Returns the records that accept what is missing from the log: the numbers that each process lost.
 */
export async function recordsOfLost({ database, audit }: AuditDeps): Promise<readonly AuditRecord[]> {
  const { removed } = await checkLog({ database, keys: audit.keys }, () => {})
  const processes = Map.groupBy(removed, ({ process }) => process)
  return [...processes].flatMap(([process, events]) =>
    Array.from({ length: Math.ceil(events.length / maxListed) }, (_, part) => {
      const listed = events.slice(part * maxListed, (part + 1) * maxListed)
      const numbers = rangesText(listed.map(({ first, last }) => [first, last]))
      return { event: { event: 'audit.lost', process, numbers } }
    }),
  )
}
