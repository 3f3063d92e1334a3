import { AppError } from '../../error.ts'
import type { Connection } from '../pool/connection.ts'
import { userChangeStatements } from '../statements/userChanges.ts'
import { userStatements } from '../statements/users.ts'
import type { Acknowledged, AcknowledgedChanges, Revocation } from './acknowledgedChanges.ts'
import { type FailoverStatements, failoverStatements } from './statements.ts'

export interface Losses {
  /** Revocations that were undone, and are made again. */
  readonly repeated: number
  /** Rows that are gone. */
  readonly missing: number
}

export interface RepetitionOptions {
  /** Changes until then, by the monotonic clock, cannot be lost. Undefined: any may be. */
  readonly safeUntil: number | undefined
  /** The session of the server is shared by a pooler. */
  readonly isPooled: boolean
}

/** Rows for one statement, which must stay below the server's time limit. */
const batchSize = 500

/** Makes every remembered revocation again that is undone. Makes no other change. */
export async function repeatRevocations(
  connection: Connection,
  changes: Pick<AcknowledgedChanges, 'revocations' | 'creations'>,
  { safeUntil = Number.NEGATIVE_INFINITY, isPooled }: RepetitionOptions,
): Promise<Losses> {
  const statements = failoverStatements(connection)
  const isUnsafe = ({ at }: { readonly at: number }) => at >= safeUntil
  const revocations = changes.revocations()
  const creations = changes.creations().filter(isUnsafe)
  if (revocations.length === 0 && creations.length === 0) return { repeated: 0, missing: 0 }
  if (!isPooled) await statements.commitLocally()
  let repeated = await repeatEndings(statements, revocations)
  for (const revocation of revocations) repeated += await repeatUserChange(connection, revocation, isUnsafe(revocation))
  const missing = await statements.countMissing(creations.map(({ kind, id, generation }) => ({ kind, id, generation })))
  if (!isPooled) await statements.commitAsConfigured()
  return { repeated, missing }
}

/** Nothing that comes later gives them back, so every one is repeated. */
async function repeatEndings(statements: FailoverStatements, revocations: readonly Revocation[]): Promise<number> {
  const ids = revocations.flatMap(({ kind, id }) => (kind === 'session' ? [id] : []))
  const keys = revocations.flatMap((revocation) => (revocation.kind === 'api_key' ? [revocation.key] : []))
  let repeated = await statements.revokeKeysAgain(keys)
  for (let start = 0; start < ids.length; start += batchSize)
    repeated += await statements.endSessionsAgain(ids.slice(start, start + batchSize))
  return repeated
}

/** Another replica may have enabled the user since, so only a change that may be lost is repeated. */
async function repeatUserChange(
  connection: Connection,
  revocation: Acknowledged<Revocation>,
  isUnsafe: boolean,
): Promise<number> {
  const { kind, id } = revocation
  try {
    if (kind === 'password') return await failoverStatements(connection).changePasswordAgain(id, revocation.password)
    if (!isUnsafe) return 0
    const users = userChangeStatements(connection.orm)
    if (kind === 'deletion') return typeof (await users.deleteUser(id)) === 'object' ? 1 : 0
    if (kind !== 'restriction') return 0
    const user = await userStatements(connection.orm).findUser(id)
    const { roles, isDisabled } = revocation.restriction
    const kept = user?.roles.filter((role) => roles === undefined || roles.includes(role))
    const change = {
      ...(isDisabled && user?.is_active ? { is_active: false } : {}),
      ...(kept && kept.length < (user?.roles.length ?? 0) ? { roles: kept } : {}),
    }
    if (Object.keys(change).length === 0) return 0
    return typeof (await users.updateUser(id, change)) === 'object' ? 1 : 0
  } catch (error) {
    // A rule of the database rejects it: no retry would help, and the sessions are ended.
    if (error instanceof AppError && error.code !== 'unavailable') return 0
    throw error
  }
}
