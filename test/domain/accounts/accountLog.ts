import type { User } from '../../../src/db/statements/users.ts'
import { recordBaseline } from '../../../src/domain/accountVerification/baseline.ts'
import { recordAlone } from '../../../src/domain/audit/audited.ts'
import { createSequencer } from '../../../src/domain/audit/sequencer.ts'
import { finishPruning } from '../../../src/domain/retention/finishPruning.ts'
import { planPruning } from '../../../src/domain/retention/planPruning.ts'
import { createUser } from '../../../src/domain/users/users.ts'
import { type DatabaseKind, openTestApplication, type TestApplication } from '../../application.ts'

/** An administrator by command. */
export const by = { name: 'test', canManageAdministrators: true }
/** Of each account that `create` makes. */
export const password = 'a long password of this user'

/** An application, and what tests do with its accounts and their records. */
export interface AccountLog extends TestApplication {
  /** Numbers the records that wait. */
  sequence(): Promise<void>
  create(username: string, roles?: readonly string[]): Promise<User>
  /** Adds records that concern no account. */
  fill(records?: number): Promise<void>
  /** Prunes as much as possible, and returns below which index. */
  prune(): Promise<number | undefined>
}

export async function openAccountLog(kind: DatabaseKind = 'PostgreSQL'): Promise<AccountLog> {
  const application = await openTestApplication(kind)
  const { deps } = application
  const sequence = createSequencer(deps, true).run
  return {
    ...application,
    sequence,
    create: async (username, roles = []) =>
      (await createUser(deps, by, { username, full_name: 'X', password, roles })).user,
    fill: async (records = 300) => {
      for (let n = 0; n < records; n++) await recordAlone(deps, { event: { event: 'server.alive' } })
      await sequence()
    },
    prune: async () => {
      const { size } = await deps.database.audit.readHead(() => [])
      const planned = await planPruning(deps, 'test', { below: size })
      await sequence()
      await finishPruning(deps)
      return planned
    },
  }
}

/** The same, with a baseline of the accounts. */
export async function openCoveredLog(): Promise<AccountLog> {
  const log = await openAccountLog()
  await recordBaseline(log.deps, () => false)
  return log
}
