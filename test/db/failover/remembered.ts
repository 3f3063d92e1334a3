import postgres from 'postgres'
import { parseDatabaseUrl } from '../../../src/config/databaseUrl.ts'
import { type Database, openDatabase } from '../../../src/db/database.ts'
import { createAcknowledgedChanges } from '../../../src/db/failover/acknowledgedChanges.ts'
import { type Losses, repeatRevocations } from '../../../src/db/failover/repetition.ts'
import { openPool } from '../../../src/db/pool/pool.ts'
import { migratedDatabase } from '../../migratedDatabase.ts'
import { createDatabase } from '../../postgresql.ts'
import { recordingRepetition } from './recording.ts'

export interface Remembered {
  /** Its changes are remembered. */
  readonly database: Database
  /** Its changes are not, such as those of another replica or a failover that undoes some. */
  readonly other: postgres.Sql
  /** Makes one attempt to repeat revocations, with the privileges of a role if one is given. */
  repeat(role?: string): Promise<Losses>
  close(): Promise<void>
}

/** A process that remembers its changes, on a migrated database. */
export async function remember(): Promise<Remembered> {
  const url = await createDatabase('', await migratedDatabase())
  const pool = openPool({ kind: 'server', address: parseDatabaseUrl(url), poolSize: 2 })
  const changes = createAcknowledgedChanges(performance.now.bind(performance), () => {})
  const other = postgres(url, { max: 1, onnotice: () => {} })
  const progress = { repeated: 0, rejected: new Set<string>() }
  const options = { safeUntil: undefined, isPooled: false, progress, record: recordingRepetition() }
  return {
    database: openDatabase(pool, changes),
    other,
    repeat: (role = 'postgres') =>
      pool.run(async (connection) => {
        await connection.client.unsafe(`SET ROLE ${role}`)
        return repeatRevocations(connection, changes, options).finally(() => connection.client.unsafe('RESET ROLE'))
      }, 'unlimited'),
    close: async () => {
      await pool.close()
      await other.end()
    },
  }
}

export async function addUser(
  { database }: Remembered,
  username: string,
  roles: readonly string[] = [],
): Promise<string> {
  const user = { username, full_name: username, hashed_password: `hash of ${username}`, must_change_password: false }
  return (await database.users.insertUser({ ...user, roles })).id
}

/** Starts a session and records the sign-in, as a login does. */
export async function signIn(
  { database }: Pick<Remembered, 'database'>,
  user: { readonly id: string; readonly hash: string },
  now = new Date(),
): Promise<string> {
  const id = crypto.randomUUID()
  const expiresAt = new Date(now.getTime() + 3_600_000)
  const facts = { refreshGeneration: 0, address: undefined, userAgent: undefined } as const
  await database.signIns.insertSession({ id, userId: user.id, verifiedHash: user.hash, now, expiresAt, ...facts })
  await database.signIns.recordSignIn(user.id, now)
  return id
}
