import { drizzle } from 'drizzle-orm/postgres-js'
import { type MigrationReport, type MigrationStatus, migrate, migrationStatus } from './migrations/migrate.ts'
import type { Client, Connection } from './pool/connection.ts'
import type { Pool, PoolState } from './pool/pool.ts'
import { type ApiKeyStatements, apiKeyStatements } from './statements/apiKeys.ts'
import { type InstanceStatements, instanceStatements } from './statements/instance.ts'
import { type SessionStatements, sessionStatements } from './statements/sessions.ts'
import { type SigningKeyStatements, signingKeyStatements } from './statements/signingKeys.ts'
import { type ThrottleStatements, throttleStatements } from './statements/throttle.ts'
import { type UserStatements, userStatements } from './statements/users.ts'
import { type UserTransferStatements, userTransferStatements } from './statements/userTransfer.ts'

/** One set of statements per noun. */
interface Statements {
  readonly users: UserStatements
  readonly sessions: SessionStatements
  readonly throttle: ThrottleStatements
  readonly instance: InstanceStatements
  readonly signingKeys: SigningKeyStatements
  readonly apiKeys: ApiKeyStatements
}

/** The database as the rest of the product sees it. Everything throws AppError only. */
export interface Database extends Statements {
  readonly userTransfer: UserTransferStatements
  migrationStatus(): Promise<MigrationStatus>
  migrate(): Promise<MigrationReport>
  pool(): PoolState
  close(): Promise<void>
}

/** Made once for each connection, with what they prepare on it; gone with it. */
function statementsOn({ orm, client }: Connection): Statements {
  return {
    users: userStatements(orm),
    sessions: sessionStatements({ orm, client }),
    throttle: throttleStatements({ client }),
    instance: instanceStatements(orm),
    signingKeys: signingKeyStatements(orm),
    apiKeys: apiKeyStatements(orm),
  }
}

export function openDatabase(pool: Pool): Database {
  const made = new WeakMap<Connection, Statements>()
  const statementsOf = (connection: Connection): Statements => {
    const known = made.get(connection)
    if (known) return known
    const statements = statementsOn(connection)
    made.set(connection, statements)
    return statements
  }
  const statements = statementsThrough(pool, statementsOf)
  return {
    ...statements,
    sessions: {
      ...statements.sessions,
      // The question of every request.
      findActiveSession: (key) => pool.read((connection) => statementsOf(connection).sessions.findActiveSession(key)),
    },
    apiKeys: {
      ...statements.apiKeys,
      // The question of every request of a service.
      findApiKey: (digest) => pool.read((connection) => statementsOf(connection).apiKeys.findApiKey(digest)),
    },
    signingKeys: {
      ...statements.signingKeys,
      // The question of every few seconds.
      listKeys: () => pool.read((connection) => statementsOf(connection).signingKeys.listKeys()),
      resetKeys: (...reset) =>
        pool.run((connection) => statementsOf(connection).signingKeys.resetKeys(...reset), 'unlimited'),
    },
    // Each takes as long as it takes, and has its connection to itself.
    userTransfer: userTransferStatements(pool.kind, (work) => pool.run(({ client }) => work(client), 'unlimited')),
    migrationStatus: () => pool.run(({ client }) => migrationStatus(client)),
    migrate: () => pool.run(({ client }) => migrate(client), 'unlimited'),
    pool: pool.state,
    close: pool.close,
  }
}

type Call = (...args: unknown[]) => Promise<unknown>

/** Every statement under its name; each call goes to the connection that the pool gives it. */
function statementsThrough(pool: Pool, statementsOf: (connection: Connection) => Statements): Statements {
  const through = (noun: keyof Statements, name: string) => {
    const choose = (statements: Statements) => (statements[noun] as unknown as Record<string, Call>)[name] as Call
    return (...args: unknown[]) => pool.run((connection) => choose(statementsOf(connection))(...args))
  }
  // Made without a connection, for the names alone.
  const named = statementsOn({ orm: drizzle.mock(), client: undefined as unknown as Client })
  const nouns = Object.entries(named).map(([noun, set]) => [
    noun,
    Object.fromEntries(Object.keys(set).map((name) => [name, through(noun as keyof Statements, name)])),
  ])
  return Object.fromEntries(nouns) as Statements
}
