import { type Client, connect, type DatabaseTarget } from './connection.ts'
import { guarded } from './failure.ts'
import { type InstanceStatements, instanceStatements } from './instance.ts'
import { type MigrationReport, type MigrationStatus, migrate, migrationStatus } from './migrate.ts'
import { type SessionStatements, sessionStatements } from './sessions.ts'
import { type UserStatements, userStatements } from './users.ts'

/** The database as the rest of the product sees it: one set of statements per noun. Everything throws AppError only. */
export interface Database {
  readonly users: UserStatements
  readonly sessions: SessionStatements
  readonly instance: InstanceStatements
  /** Resolves when the database answers. */
  ping(): Promise<void>
  migrationStatus(): Promise<MigrationStatus>
  migrate(): Promise<MigrationReport>
  close(): Promise<void>
}

/** Seconds that running statements get when the pool is closed. */
const closeTimeout = 5

export function openDatabase(target: DatabaseTarget): Database {
  const { client, orm } = connect(target)
  return {
    users: userStatements(orm),
    sessions: sessionStatements(orm),
    instance: instanceStatements(orm),
    ping: () =>
      guarded(async () => {
        await client`SELECT 1`
      }),
    migrationStatus: () => guarded(() => migrationStatus(client)),
    migrate: () => guarded(() => withOneSession(target, client, migrate)),
    close: () => client.end({ timeout: closeTimeout }),
  }
}

/** On a server migrations get a connection of their own; the embedded database has but one. */
async function withOneSession<T>(
  target: DatabaseTarget,
  pool: Client,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  if (target.kind === 'embedded') return work(pool)
  const { client } = connect(target, 1)
  try {
    return await work(client)
  } finally {
    await client.end({ timeout: closeTimeout })
  }
}
