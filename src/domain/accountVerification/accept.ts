import type { Database } from '../../db/database.ts'
import { AppError } from '../../error.ts'
import { isUuid } from '../../uuid.ts'
import { auditedAccounts } from '../accountStates/auditedAccounts.ts'
import type { AuditDeps } from '../audit/audited.ts'
import { partyOf } from '../audit/record.ts'
import { readAccountStates } from './readStates.ts'
import { pendingAccounts } from './suspects.ts'

/** What was accepted. */
export interface AcceptedAccount {
  readonly id: string
  /** Undefined, as what follows, if the account does not exist. */
  readonly username?: string
  readonly roles?: readonly string[]
  readonly is_active?: boolean
}

type AcceptDeps = AuditDeps & { readonly database: Pick<Database, 'users'> }

/**
 * Records the current state of an account as the right one, by name or ID, after someone changed or
 * deleted it by SQL. Throws `not_found`.
 */
export async function acceptAccount(deps: AcceptDeps, by: string, nameOrId: string): Promise<AcceptedAccount> {
  const id = isUuid(nameOrId) ? nameOrId.toLowerCase() : (await deps.database.users.findUserByUsername(nameOrId))?.id
  if (id === undefined) throw unknown(nameOrId)
  if (!(await deps.database.users.findUser(id))) await requireRecorded(deps, id)
  const account = await auditedAccounts(
    deps,
    async ({ audit, users }) => ((await audit.lockAccount(id)) ? users.findUser(id) : undefined),
    (user, stateOf) => [
      {
        event: { event: 'audit.accepted', by, exists: user !== undefined },
        about: user ? partyOf(user) : { kind: 'user', id },
        state: stateOf({ is: user }),
      },
    ],
  )
  if (!account) return { id }
  const { username, roles, is_active } = account
  return { id, username, roles, is_active }
}

/** Any ID could be mistyped, but not one that the log has. */
async function requireRecorded({ database: { audit }, audit: { keys } }: AcceptDeps, id: string): Promise<void> {
  const { size } = await audit.readHead(() => [])
  const { chains } = await readAccountStates(audit, keys, size, { includes: (one) => one === id })
  const isRecorded = chains.chainOf(id).kind !== 'unknown' || (await pendingAccounts(audit, keys)).includes(id)
  if (!isRecorded) throw unknown(id)
}

function unknown(nameOrId: string): AppError {
  return new AppError(
    'not_found',
    `There is no user ${JSON.stringify(nameOrId)}. For a user who was deleted, pass the ID, which "audittrail audit verify" prints.`,
  )
}
