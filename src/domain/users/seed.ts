import type { User } from '../../db/statements/users.ts'
import { auditedAccounts } from '../accountStates/auditedAccounts.ts'
import { type AuditRecord, partyOf } from '../audit/record.ts'
import type { Deps } from '../deps.ts'
import { hashInSlot } from '../passwords/hashPassword.ts'
import { findPolicyViolation } from '../passwords/policy.ts'

export interface Administrator {
  readonly username: string
  readonly fullName: string
  /** Undefined: the default password, which must be changed before it gives access to anything. */
  readonly password: string | undefined
}

/** Public, so always quarantined. */
export const defaultPassword = 'changeme'

/**
 * Creates the first administrator of a database that never had a user. Returns whether it did. A
 * password that the policy rejects is quarantined like the default one.
 */
export async function seedAdministrator(deps: Deps, administrator: Administrator): Promise<boolean> {
  const { instance } = deps.database
  if (!(await instance.needsAdministrator())) {
    await instance.insertInstance()
    return false
  }
  const password = administrator.password ?? defaultPassword
  const violation = await findPolicyViolation(
    { password, username: administrator.username },
    deps.settings.passwordMinLength,
  )
  const { username, fullName: full_name } = administrator
  const first = {
    username,
    full_name,
    hashed_password: await hashInSlot(deps, password),
    must_change_password: violation !== undefined || password === defaultPassword,
  }
  const seeded = await auditedAccounts(
    deps,
    (statements) => statements.instance.insertFirstAdministrator(first),
    (user, stateOf) =>
      user
        ? [{ ...seededRecord(user), state: stateOf({ is: { ...user, ...first, roles: ['admin'], is_active: true } }) }]
        : [],
  )
  if (seeded === undefined) return false
  if (violation !== undefined && administrator.password !== undefined) {
    deps.log.warn('setting.weak_password', {
      setting: 'ADMIN_PASSWORD',
      detail: `${violation}; it gives access only to changing it`,
    })
  }
  return true
}

function seededRecord(user: User): AuditRecord {
  return { event: { event: 'administrator.seeded', username: user.username }, about: partyOf(user) }
}

/** Logs at each start what the operator should know about the administrators' passwords. */
export async function warnOfSeededPasswords(deps: Deps, administrator: Administrator, seeded: boolean): Promise<void> {
  for (const username of await deps.database.users.listQuarantinedAdministrators()) {
    deps.log.warn('administrator.must_change_password', {
      username,
      detail:
        'has the default password, a reset one or one that the policy rejects; until it is changed, a sign-in gives access only to /auth/me, /auth/session, /auth/password and sign-out',
    })
  }
  if (administrator.password !== undefined && !seeded) {
    deps.log.info('setting.without_effect', {
      setting: 'ADMIN_PASSWORD',
      detail: 'this database already has an administrator; the setting applies only to the first start',
    })
  }
}
