import { drizzle } from 'drizzle-orm/postgres-js'
import { type EventRow, insertEvents } from './audit/pending.ts'
import { type AuditStatements, auditStatements } from './audit/reading.ts'
import { createBatch } from './batch.ts'
import { type ChangeObserver, delayed, unobserved } from './changes.ts'
import { guarded, located } from './failure.ts'
import { type Inspection, inspect } from './migrations/inspection.ts'
import {
  completeIndexes,
  type MigrationReport,
  type MigrationStatus,
  migrate,
  migrationStatus,
} from './migrations/migrate.ts'
import { checkSchema, type SchemaCheck } from './migrations/schemaCheck.ts'
import type { Client, Connection } from './pool/connection.ts'
import type { Pool } from './pool/pool.ts'
import type { PoolState } from './pool/slots.ts'
import { guardedChange } from './rejection.ts'
import { repeated } from './repeat.ts'
import { type ApiKeyStatements, apiKeyStatements, type StoredApiKey } from './statements/apiKeys.ts'
import { type HashSampleStatements, hashSampleStatements } from './statements/hashSamples.ts'
import { type InstanceStatements, instanceStatements } from './statements/instance.ts'
import { type LockoutStatements, lockoutStatements } from './statements/lockouts.ts'
import {
  type BrowserSessionKey,
  type BrowserSessionRow,
  type RequestCheckStatements,
  requestCheckStatements,
  type SessionKey,
} from './statements/requestChecks.ts'
import { type SessionSweepStatements, sessionSweepStatements } from './statements/sessionSweep.ts'
import { type SessionStatements, type SessionUser, sessionStatements } from './statements/sessions.ts'
import { type SignInStatements, signInStatements } from './statements/signIns.ts'
import { type SigningKeyStatements, signingKeyStatements } from './statements/signingKeys.ts'
import { type ThrottleStatements, throttleStatements } from './statements/throttle.ts'
import { type UserChangeStatements, userChangeStatements } from './statements/userChanges.ts'
import { type UserStatements, userStatements } from './statements/users.ts'
import { type UserTransferStatements, userTransferStatements } from './statements/userTransfer.ts'

/** One set of statements per noun. */
interface Statements {
  readonly users: UserStatements & UserChangeStatements & HashSampleStatements
  readonly sessions: SessionStatements
  readonly sessionSweep: SessionSweepStatements
  readonly signIns: SignInStatements
  readonly throttle: ThrottleStatements
  readonly lockouts: LockoutStatements
  readonly instance: InstanceStatements
  readonly signingKeys: SigningKeyStatements
  readonly apiKeys: ApiKeyStatements
  readonly requestChecks: RequestCheckStatements
  readonly audit: AuditStatements
}

/** The statements of a change that is recorded in the audit log. */
export type AuditedStatements = Omit<Statements, 'requestChecks'>

/** The database as other layers see it. Throws only AppError. */
export interface Database extends Omit<Statements, 'requestChecks'> {
  /**
   * Finds the active user of a session. Undefined unless all members of the key match. Concurrent
   * calls share a query, which starts after the call.
   */
  findActiveSession(key: SessionKey): Promise<SessionUser | undefined>
  /**
   * Finds an active browser session. Concurrent calls share a query, which starts after the call.
   */
  findBrowserSession(key: BrowserSessionKey): Promise<BrowserSessionRow | undefined>
  /** Finds an API key by digest, expired and revoked ones too. Concurrent calls share a query. */
  findApiKey(digest: string): Promise<StoredApiKey | undefined>
  readonly userTransfer: UserTransferStatements
  /** Makes a change and inserts the events of its result, in one transaction. */
  withEvents<T>(
    change: (statements: AuditedStatements) => Promise<T>,
    eventsOf: (result: T) => readonly EventRow[],
    kind?: ChangeKind,
  ): Promise<T>
  migrationStatus(): Promise<MigrationStatus>
  migrate(): Promise<MigrationReport>
  /**
   * Builds indexes of large tables, which a migration leaves for later. Returns how many remain
   * because another replica builds them.
   */
  completeIndexes(): Promise<number>
  /** Names the database in messages. Undefined if it is embedded. */
  readonly label: string | undefined
  /** Compares a migrated database with what this version needs. */
  checkSchema(): Promise<SchemaCheck>
  /** Inspects a database before its adoption, and passes every password hash to `take`. */
  inspect(take: (hashes: readonly string[]) => void): Promise<Inspection>
  pool(): PoolState
  close(): Promise<void>
}

/** Statements are prepared per connection and end with it. */
function statementsOn(connection: Connection, changes?: ChangeObserver): Statements {
  const { orm, client } = connection
  return {
    users: { ...userStatements(orm), ...userChangeStatements(orm, changes), ...hashSampleStatements({ client }) },
    sessions: sessionStatements({ orm }, changes),
    sessionSweep: sessionSweepStatements({ orm }),
    signIns: signInStatements(connection, changes),
    throttle: throttleStatements({ client }),
    lockouts: lockoutStatements({ client }),
    instance: instanceStatements(orm),
    signingKeys: signingKeyStatements(orm),
    apiKeys: apiKeyStatements(orm, changes),
    requestChecks: requestCheckStatements({ client }),
    audit: auditStatements({ client }),
  }
}

/** `changes` receives what is committed. */
export function openDatabase(pool: Pool, changes?: ChangeObserver): Database {
  const cache = new WeakMap<Connection, Statements>()
  const statementsOf = (connection: Connection): Statements => {
    const known = cache.get(connection)
    if (known) return known
    const statements = statementsOn(connection, changes)
    cache.set(connection, statements)
    return statements
  }
  /** Runs one statement or transaction. */
  const run = <T>(work: (statements: Statements) => Promise<T>, limit?: 'unlimited') =>
    repeated(
      () => pool.run((connection) => atReadCommitted(connection, () => work(statementsOf(connection))), limit),
      limit === 'unlimited' ? Number.POSITIVE_INFINITY : undefined,
    )
  /** Runs one read-only statement. */
  const read = <T>(work: (statements: Statements) => Promise<T>, limit?: number) =>
    repeated(() => pool.read((connection) => work(statementsOf(connection)), limit))
  const transactions = new WeakMap<Connection, ReturnType<typeof changesWithEvents>>()
  const transactionsOn = (connection: Connection) => {
    const known = transactions.get(connection) ?? changesWithEvents(connection, changes)
    transactions.set(connection, known)
    return known
  }
  const statements = statementsThrough(run)
  let completing: Promise<number> | undefined
  const activeSessions = createBatch<SessionKey, SessionUser>({
    identityOf: ({ id }) => id,
    query: (keys, limit) => read(({ requestChecks }) => requestChecks.findActiveSessions(keys), limit),
  })
  return {
    ...statements,
    findActiveSession: (key) =>
      activeSessions.find(key).then((user) => (user && isUserOf(key, user) ? user : undefined)),
    findBrowserSession: createBatch<BrowserSessionKey, BrowserSessionRow>({
      identityOf: ({ id }) => id,
      query: (keys, limit) => read(({ requestChecks }) => requestChecks.findBrowserSessions(keys), limit),
    }).find,
    findApiKey: createBatch<string, StoredApiKey>({
      identityOf: (digest) => digest,
      query: (digests, limit) => read(({ requestChecks }) => requestChecks.findApiKeys(digests), limit),
    }).find,
    signingKeys: {
      ...statements.signingKeys,
      // Every few seconds.
      listKeys: () => read(({ signingKeys }) => signingKeys.listKeys()),
      resetKeys: (...reset) => run(({ signingKeys }) => signingKeys.resetKeys(...reset), 'unlimited'),
    },
    // Without a time limit, on a connection of their own.
    userTransfer: userTransferStatements(pool.kind, (work) => pool.run(({ client }) => work(client), 'unlimited')),
    withEvents: (change, eventsOf, kind) =>
      repeated(
        () => pool.run((connection) => transactionsOn(connection)(change, eventsOf, kind), unlimitedIf(kind)),
        kind === 'unlimited' ? Number.POSITIVE_INFINITY : undefined,
      ),
    migrationStatus: () => pool.run(({ client }) => migrationStatus(client)),
    migrate: () =>
      repeated(
        () => pool.run(({ client }) => migrate(client, pool.kind === 'embedded'), 'unlimited'),
        Number.POSITIVE_INFINITY,
      ).catch((error) => Promise.reject(located(error, pool.label))),
    completeIndexes: () => {
      completing ??= completeIndexes(pool).finally(() => {
        completing = undefined
      })
      return completing
    },
    label: pool.label,
    checkSchema: () => pool.run(({ client }) => checkSchema(client)),
    inspect: (take) => pool.run(({ client }) => inspect(client, take), 'unlimited'),
    pool: pool.state,
    close: pool.close,
  }
}

/** A deletion, which other tables may forbid, or a change without a time limit. */
export type ChangeKind = 'deletion' | 'unlimited'

function unlimitedIf(kind: ChangeKind | undefined): 'unlimited' | undefined {
  return kind === 'unlimited' ? kind : undefined
}

/** Returns a function that makes a change and inserts its events, in one transaction. */
function changesWithEvents(connection: Connection, changes: ChangeObserver = unobserved) {
  const { client } = connection
  const { observer, deliver, discard } = delayed(changes)
  const statements: AuditedStatements = statementsOn(connection, observer)
  return async <T>(
    change: (statements: AuditedStatements) => Promise<T>,
    eventsOf: (result: T) => readonly EventRow[],
    kind: ChangeKind | undefined,
  ): Promise<T> => {
    discard()
    // COMMIT checks deferred constraints, and may reject the change.
    const result = await guardedChange(
      kind === 'deletion' ? 'delete' : 'store',
      () =>
        client.begin(async () => {
          const changed = await change(statements)
          await guarded(() => insertEvents(client, eventsOf(changed)))
          return changed
        }) as Promise<T>,
    )
    deliver()
    return result
  }
}

function isUserOf({ userId, username }: SessionKey, user: SessionUser): boolean {
  return user.id === userId && user.username === username
}

/** Runs statements at read committed, in a transaction if that is not the session's default. */
function atReadCommitted<T>({ client, needsTransactions }: Connection, work: () => Promise<T>): Promise<T> {
  return needsTransactions ? (client.begin(work) as Promise<T>) : work()
}

type Call = (...args: unknown[]) => Promise<unknown>

/** Returns every statement under its name. Each call goes through `run`. */
function statementsThrough(run: (work: (statements: Statements) => Promise<unknown>) => Promise<unknown>): Statements {
  const through = (noun: keyof Statements, name: string) => {
    const choose = (statements: Statements) => (statements[noun] as unknown as Record<string, Call>)[name] as Call
    return (...args: unknown[]) => run((statements) => choose(statements)(...args))
  }
  // Built without a connection, only for the names.
  const named = statementsOn({ orm: drizzle.mock(), client: undefined as unknown as Client })
  const nouns = Object.entries(named).map(([noun, set]) => [
    noun,
    Object.fromEntries(Object.keys(set).map((name) => [name, through(noun as keyof Statements, name)])),
  ])
  return Object.fromEntries(nouns) as Statements
}
