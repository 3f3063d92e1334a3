import type { Connection } from '../pool/connection.ts'
import { userChangeStatements } from '../statements/userChanges.ts'
import { userStatements } from '../statements/users.ts'
import type { Acknowledged, Revocation } from './acknowledgedChanges.ts'
import { batchesOf, inBatchesUnlessRejected, type RepetitionProgress } from './batches.ts'
import type { RecordedChange } from './recording.ts'
import { type RememberedRoles, repeatedUserStatements } from './userStatements.ts'

type OfKind<Kind> = Acknowledged<Extract<Revocation, { readonly kind: Kind }>>

export interface UserRepetition {
  /** Whether a failover may have undone a change. */
  readonly isUnsafe: (change: { readonly at: number }) => boolean
  readonly progress: RepetitionProgress
  readonly recorded: RecordedChange
}

/**
 * Repeats changes of users. Another replica may have enabled a user since, so only a change that
 * may be lost is repeated. A former password hash proves that its change is lost.
 */
export async function repeatUserChanges(
  connection: Connection,
  revocations: readonly Acknowledged<Revocation>[],
  { isUnsafe, progress, recorded }: UserRepetition,
): Promise<void> {
  const statements = repeatedUserStatements(connection)
  const single = administratorChanges(connection)
  const all = <Kind extends Revocation['kind']>(kind: Kind) =>
    revocations.filter((one): one is OfKind<Kind> => one.kind === kind)
  await inBatchesUnlessRejected(all('password'), recorded('password', statements.changePasswords), progress)
  const repeatUnsafe = <Kind extends Revocation['kind']>(kind: Kind, statementsFor: UserChanges<OfKind<Kind>>) =>
    repeatEach(all(kind).filter(isUnsafe), { progress, recorded, kind }, statementsFor)
  await repeatUnsafe('disabling', {
    change: statements.disable,
    findAdministrators: statements.findActiveAdministrators,
    changeAdministrator: single.disable,
  })
  await repeatUnsafe('roles', {
    change: statements.limitRoles,
    findAdministrators: statements.findAdministratorsToLimit,
    changeAdministrator: single.limitRoles,
  })
  await repeatUnsafe('deletion', {
    change: statements.deleteUsers,
    findAdministrators: statements.findAdministrators,
    changeAdministrator: single.deleteUser,
  })
}

interface UserChanges<Change> {
  /** Changes all but administrators. */
  readonly change: (changes: readonly Change[]) => Promise<readonly string[]>
  /** Returns the ids of administrators whose change is undone. */
  readonly findAdministrators: (changes: readonly Change[]) => Promise<readonly string[]>
  readonly changeAdministrator: (change: Change) => Promise<readonly string[]>
}

async function repeatEach<Change extends { readonly kind: string; readonly id: string }>(
  changes: readonly Change[],
  { progress, recorded, kind }: Omit<UserRepetition, 'isUnsafe'> & { readonly kind: Revocation['kind'] },
  { change, findAdministrators, changeAdministrator }: UserChanges<Change>,
): Promise<void> {
  await inBatchesUnlessRejected(changes, recorded(kind, change), progress)
  for (const batch of batchesOf(changes)) {
    const administrators = new Set(await findAdministrators(batch))
    for (const one of batch.filter(({ id }) => administrators.has(id)))
      await inBatchesUnlessRejected(
        [one],
        recorded(kind, () => changeAdministrator(one)),
        progress,
      )
  }
}

/**
 * One by one, since an active administrator must remain. Each returns the ids that it has changed.
 */
function administratorChanges({ orm }: Connection) {
  const users = { ...userStatements(orm), ...userChangeStatements(orm) }
  const changed = (id: string, result: unknown) => (typeof result === 'object' ? [id] : [])
  return {
    disable: async ({ id }: { readonly id: string }) => changed(id, await users.updateUser(id, { is_active: false })),
    limitRoles: async ({ id, roles }: RememberedRoles) => {
      const user = await users.findUser(id)
      return user
        ? changed(id, await users.updateUser(id, { roles: user.roles.filter((role) => roles.includes(role)) }))
        : []
    },
    deleteUser: async ({ id }: { readonly id: string }) => changed(id, await users.deleteUser(id)),
  }
}
