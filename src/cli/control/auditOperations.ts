import { type AcceptedAccount, acceptAccount } from '../../domain/accountVerification/accept.ts'
import { type PresentedEvent, presentEvent } from '../../domain/audit/presentEvent.ts'
import type { Outcome } from '../../domain/audit/record.ts'
import { acceptRestored } from '../../domain/audit/restored.ts'
import { recordsOfLost } from '../../domain/auditVerification/lostEvents.ts'
import type { Deps } from '../../domain/deps.ts'
import { type EventCriteria, type EventPage, searchEvents } from '../../domain/history/search.ts'
import { type LogKeys, logKeys } from '../../domain/publishedLog/published.ts'
import { type Erasure, erasePerson } from '../../domain/retention/erasePerson.ts'
import { planPruning } from '../../domain/retention/planPruning.ts'
import { awaitPruning, type PruneResult } from '../../domain/retention/prune.ts'
import { AppError } from '../../error.ts'
import { isUuid } from '../../uuid.ts'
import { type ProvenRecord, provenRecord } from './auditExport.ts'

/** `user`, `by` and `about` are usernames or ids; times are in ISO 8601. */
export interface AuditQuery {
  readonly limit: number
  /** The oldest records from this index on, instead of the newest. */
  readonly from?: number
  readonly since?: string
  readonly until?: string
  readonly type?: string
  readonly outcome?: Outcome
  readonly user?: string
  readonly by?: string
  readonly about?: string
}

/** One of both: records from before a time, in ISO 8601, or below an index. */
export interface PruneQuery {
  readonly before?: string
  readonly below?: number
}

export interface AuditList {
  /** By index, lowest first. */
  readonly events: readonly PresentedEvent[]
  /** The `from` of the records that follow. */
  readonly next: number
}

/** The actor of commands in the log. */
export const actor = 'command line'

/** The operations on the audit log, as in `operations.ts`. */
export const auditOperations = {
  listAudit: async (deps: Deps, query: AuditQuery): Promise<AuditList> => {
    const { limit, from, since, until, type, outcome } = query
    const { audit } = deps.database
    const end = await audit.nextEventIndex()
    const criteria = {
      type,
      outcome,
      since: since === undefined ? undefined : new Date(since),
      until: until === undefined ? undefined : new Date(until),
      of: await idOf(deps, query.user),
      by: await idOf(deps, query.by),
      about: await idOf(deps, query.about),
    }
    if (from === undefined) return { events: await newestEvents(deps, { ...criteria, below: end }, limit), next: end }
    const events = await audit.listEvents({ ...criteria, from, before: end, limit })
    const isCut = events.length === limit
    return { events: events.map(presentEvent), next: isCut ? (events.at(-1)?.index ?? 0) + 1 : end }
  },

  showAudit: async ({ database }: Deps, { index }: { index: number }): Promise<PresentedEvent> => {
    const [event] = await database.audit.listEvents({ from: index, limit: 1 })
    if (event?.index !== index) throw new AppError('not_found', await missingText(database, index))
    return presentEvent(event)
  },

  proveAudit: (deps: Deps, { index }: { index: number }): Promise<ProvenRecord> => provenRecord(deps, index),

  listAuditKeys: (deps: Deps, _input: object): Promise<LogKeys> => logKeys(deps),
  eraseAudit: (deps: Deps, { name }: { name: string }): Promise<Erasure> => erasePerson(deps, actor, name),

  /** Its record enters the log after the operation. Returns 0 if there is nothing to prune. */
  planPruning: async (deps: Deps, { before, below }: PruneQuery): Promise<number> =>
    (await planPruning(deps, actor, below === undefined ? { before: new Date(before ?? 0) } : { below })) ?? 0,

  finishPruning: (deps: Deps, { planned }: { planned: number }): Promise<PruneResult> => awaitPruning(deps, planned),

  acceptAccount: (deps: Deps, { name }: { name: string }): Promise<AcceptedAccount> => acceptAccount(deps, actor, name),

  restoreAudit: async (deps: Deps, _input: object) => acceptRestored(deps, await recordsOfLost(deps)),
} as const

async function missingText({ audit }: Deps['database'], index: number): Promise<string> {
  const { minimumIndex } = await audit.readPruning()
  return index < minimumIndex
    ? `Record ${index} was pruned. The audit log begins at record ${minimumIndex}.`
    : `There is no record ${index} in the audit log.`
}

/** Returns the newest matching records, lowest index first. */
async function newestEvents(deps: Deps, criteria: EventCriteria, limit: number): Promise<PresentedEvent[]> {
  const events: PresentedEvent[] = []
  let after: EventPage['next']
  do {
    const page = await searchEvents(deps, { criteria, order: 'newest' }, { limit: limit - events.length, after })
    events.push(...page.events)
    after = page.next
  } while (after && events.length < limit)
  return events.toSorted((one, other) => one.index - other.index)
}

/** A user who was deleted, or an API key, is found by its id alone. */
async function idOf({ database }: Deps, name: string | undefined): Promise<string | undefined> {
  if (name === undefined || isUuid(name)) return name?.toLowerCase()
  const user = await database.users.findUserByUsername(name)
  if (user) return user.id
  throw new AppError(
    'not_found',
    `There is no user ${JSON.stringify(name)}. For a deleted user or an API key, pass the id, which "audittrail audit list --json" prints.`,
  )
}
