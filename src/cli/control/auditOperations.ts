import { type PresentedEvent, presentEvent } from '../../domain/audit/presentEvent.ts'
import type { Outcome } from '../../domain/audit/record.ts'
import { acceptRestored } from '../../domain/audit/restored.ts'
import type { Deps } from '../../domain/deps.ts'
import { AppError } from '../../error.ts'
import { isUuid } from '../../uuid.ts'

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

export interface AuditList {
  /** By index, lowest first. */
  readonly events: readonly PresentedEvent[]
  /** The `from` of the records that follow. */
  readonly next: number
}

/** The operations on the audit log, as in `operations.ts`. */
export const auditOperations = {
  listAudit: async (deps: Deps, query: AuditQuery): Promise<AuditList> => {
    const { limit, from, since, until, type, outcome } = query
    const { audit } = deps.database
    const [newest] = await audit.listEvents({ limit: 1 })
    const end = (newest?.index ?? -1) + 1
    const events = await audit.listEvents({
      limit,
      type,
      outcome,
      ...(from === undefined ? { before: end } : { from, before: end }),
      ...(since === undefined ? {} : { since: new Date(since) }),
      ...(until === undefined ? {} : { until: new Date(until) }),
      of: await idOf(deps, query.user),
      by: await idOf(deps, query.by),
      about: await idOf(deps, query.about),
    })
    const sorted = events.toSorted((one, other) => one.index - other.index)
    const isCut = from !== undefined && events.length === limit
    return { events: sorted.map(presentEvent), next: isCut ? (sorted.at(-1)?.index ?? 0) + 1 : end }
  },

  showAudit: async ({ database }: Deps, { index }: { index: number }): Promise<PresentedEvent> => {
    const [event] = await database.audit.listEvents({ from: index, limit: 1 })
    if (event?.index !== index) throw new AppError('not_found', `There is no record ${index} in the audit log.`)
    return presentEvent(event)
  },

  restoreAudit: (deps: Deps, _input: object) => acceptRestored(deps),
} as const

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
