import { inArray } from 'drizzle-orm'
import { type Account, findAccounts, readAccountSetting } from '../audit/accounts.ts'
import { type EventRow, insertEvents } from '../audit/pending.ts'
import { guarded } from '../failure.ts'
import type { Client, Connection } from '../pool/connection.ts'
import { guardedChange } from '../rejection.ts'
import { users } from '../schema.ts'
import { lockedAdministrators } from '../statements/users.ts'
import type { Revocation } from './acknowledgedChanges.ts'

/** Changes that a failover had undone, and that are made again. */
export interface RepeatedChanges {
  readonly kind: Revocation['kind']
  /** Of the sessions, API keys or users. */
  readonly ids: readonly string[]
  /** Of users, before and after. */
  readonly accounts?: ChangedAccounts
}

export interface ChangedAccounts {
  readonly former: readonly Account[]
  readonly current: readonly Account[]
  /** Undefined: someone removed it. */
  readonly salt: Buffer | undefined
}

/**
 * Runs work that makes changes and inserts their events, whose rows it asks for, in one
 * transaction.
 */
export type RecordRepetition = <T>(
  work: (eventsOf: (changes: RepeatedChanges) => readonly EventRow[]) => Promise<T>,
) => Promise<T>

/**
 * Returns a change that inserts its events with it. `change` returns the ids that it has changed.
 */
export type RecordedChange = <Item>(
  kind: Revocation['kind'],
  change: (items: readonly Item[]) => Promise<readonly string[]>,
) => (items: readonly Item[]) => Promise<number>

/** Each change is one transaction, and returns how many rows it has changed. */
export function createRecordedChanges(connection: Connection, record: RecordRepetition): RecordedChange {
  const { client } = connection
  return (kind, change) => (items) =>
    record((eventsOf) =>
      // COMMIT checks deferred constraints, and may reject the change.
      guardedChange(
        kind === 'deletion' ? 'delete' : 'store',
        () =>
          client.begin(async () => {
            const former = isOfUsers(kind) ? await lockAccounts(connection, items) : []
            const ids = await change(items)
            const accounts = isOfUsers(kind) ? await accountsAfter(client, former, ids) : undefined
            await guarded(() => insertEvents(client, eventsOf({ kind, ids, ...(accounts && { accounts }) })))
            return ids.length
          }) as Promise<number>,
      ),
    )
}

function isOfUsers(kind: Revocation['kind']): boolean {
  return kind !== 'session' && kind !== 'api_key'
}

/** Locks the users of changes, administrators first, as every change does. Returns them. */
async function lockAccounts({ client, orm }: Connection, items: readonly unknown[]): Promise<readonly Account[]> {
  const ids = items.map((item) => (item as { readonly id: string }).id)
  return guarded(async () => {
    await orm.execute(lockedAdministrators)
    const isAmong = inArray(users.id, ids)
    await orm.select({ id: users.id }).from(users).where(isAmong).orderBy(users.id).for('no key update')
    return findAccounts(client, ids)
  })
}

async function accountsAfter(
  client: Client,
  former: readonly Account[],
  ids: readonly string[],
): Promise<ChangedAccounts> {
  const { salt } = await guarded(() => readAccountSetting(client))
  const changed = new Set(ids)
  return {
    former: former.filter(({ id }) => changed.has(id)),
    current: await guarded(() => findAccounts(client, ids)),
    salt,
  }
}
