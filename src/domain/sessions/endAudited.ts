import type { SessionUser } from '../../db/statements/sessions.ts'
import { audited } from '../audit/audited.ts'
import type { AuditEvent } from '../audit/events.ts'
import { type Party, partyOf } from '../audit/record.ts'
import type { Deps } from '../deps.ts'

interface EndedSession {
  readonly sessionId: string
  readonly by?: Party
  readonly user?: Pick<SessionUser, 'id' | 'username'>
  /** Only if the session is of this user. */
  readonly isOwn?: boolean
}

/** Ends an active session with its event. Returns whether it did. */
export function endAudited(
  deps: Deps,
  { sessionId, by, user, isOwn }: EndedSession,
  event: AuditEvent,
): Promise<boolean> {
  return audited(
    deps,
    ({ sessions }) => sessions.endSession(sessionId, new Date(deps.clock()), isOwn ? user?.id : undefined),
    (hasEnded) => (hasEnded ? [{ event, by, ...(user ? { about: partyOf(user) } : {}) }] : []),
  )
}
