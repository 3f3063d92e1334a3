import type { TransactionSql } from 'postgres'
import { guarded } from '../failure.ts'
import type { Client } from '../pool/connection.ts'
import type { PendingEvent } from './batch.ts'
import { clamped, pendingColumns, pendingOf } from './sequence.ts'

/** What a state of an account depends on. */
export interface Account {
  readonly id: string
  readonly username: string
  readonly roles: readonly string[]
  readonly is_active: boolean
  readonly must_change_password: boolean
  readonly hashed_password: string
}

/** Accounts that the baseline takes. */
export interface BaselinePage {
  readonly salt: Buffer
  readonly accounts: readonly Account[]
  /** Whether these are the last. */
  readonly isComplete: boolean
}

export interface AccountSetting {
  /** Undefined: someone removed it. */
  readonly salt: Buffer | undefined
  /** Whether the log has, or is about to have, the whole baseline. */
  readonly isComplete: boolean
}

/** Some accounts, and the events that are committed and not in the log yet, from one snapshot. */
export interface AccountSnapshot {
  /** The size of the log. */
  readonly size: number
  readonly accounts: readonly Account[]
  readonly pending: readonly PendingEvent[]
}

/** Statements that compare accounts with the states that the log has of them. */
export function accountStatements(client: Client) {
  return {
    readAccountSetting: (): Promise<AccountSetting> => guarded(() => readAccountSetting(client)),

    /**
     * Takes the next accounts for the baseline. Returns undefined once it is complete. Run it in
     * the transaction that records them.
     */
    takeBaseline: (limit: number): Promise<BaselinePage | undefined> =>
      guarded(async () => {
        // One replica after another, so that no account is taken twice.
        const [setting] = await client`
          SELECT encode(salt, 'hex') AS salt, baseline_after, is_complete FROM audittrail_audit_accounts
          WHERE id = 1 FOR UPDATE`
        if (!setting || setting.is_complete) return undefined
        const accounts = await selectAccounts(client, { after: setting.baseline_after ?? undefined }, limit)
        const isComplete = accounts.length < limit
        await client`
          UPDATE audittrail_audit_accounts
          SET baseline_after = coalesce(${accounts.at(-1)?.id ?? null}::uuid, baseline_after), is_complete = ${isComplete}
          WHERE id = 1`
        return { salt: Buffer.from(setting.salt, 'hex'), accounts, isComplete }
      }),

    /** Lists accounts by id, up to the last one if it is given. */
    listAccounts: (after: string | undefined, last: string | undefined, limit: number): Promise<Account[]> =>
      guarded(() => selectAccounts(client, { after, last }, limit)),

    /** Skips `distance` accounts after one. Returns the id of the next, or undefined. */
    findAccountAfter: (after: string | undefined, distance: number): Promise<string | undefined> =>
      guarded(async () => {
        const [row] = await client`
          SELECT id::text AS id FROM users ${after === undefined ? client`` : client`WHERE id > ${after}::uuid`}
          ORDER BY users.id OFFSET ${distance} LIMIT 1`
        return row?.id
      }),

    /** Locks an account until the transaction ends. Returns whether it exists. */
    lockAccount: (id: string): Promise<boolean> =>
      guarded(async () => {
        const rows = await client`SELECT FROM users WHERE id = ${id}::uuid FOR NO KEY UPDATE`
        return rows.length > 0
      }),

    /** Returns which of these accounts exist. */
    findExisting: (ids: readonly string[]): Promise<string[]> =>
      guarded(async () => {
        const rows = await client`
          SELECT id::text AS id FROM users
          WHERE id IN (SELECT value::uuid FROM json_array_elements_text(${JSON.stringify(ids)}::text::json))`
        return rows.map(({ id }) => id)
      }),

    /** Reads accounts, and up to `limit` pending events that may concern them. Skips copies. */
    readAccounts: (ids: readonly string[], limit: number): Promise<AccountSnapshot> =>
      guarded(
        () =>
          client.begin('isolation level repeatable read read only', async (transaction) => {
            const [head] = await transaction`SELECT coalesce(max(index), -1)::text AS last FROM audittrail_audit_events`
            const pending = await transaction`
              SELECT ${pendingColumns(transaction)} FROM audittrail_audit_pending
              WHERE position('"type":"login.' in leaf) = 0 AND NOT EXISTS (
                SELECT FROM audittrail_audit_events event
                WHERE event.process = audittrail_audit_pending.process AND event.n = audittrail_audit_pending.n)
              ORDER BY audittrail_audit_pending.id LIMIT ${limit}`
            const accounts = await findAccounts(transaction, ids)
            return { size: clamped(head?.last) + 1, accounts, pending: pending.map(pendingOf) }
          }) as Promise<AccountSnapshot>,
      ),
  }
}

export async function readAccountSetting(client: Client | TransactionSql): Promise<AccountSetting> {
  const [row] = await client`
    SELECT encode(salt, 'hex') AS salt, is_complete FROM audittrail_audit_accounts WHERE id = 1`
  return { salt: row && Buffer.from(row.salt, 'hex'), isComplete: row?.is_complete === true }
}

function columns(client: Client | TransactionSql) {
  return client`id::text AS id, username, pg_catalog.to_json(roles)::text AS roles, is_active, must_change_password, hashed_password`
}

async function selectAccounts(
  client: Client,
  { after, last }: { readonly after: string | undefined; readonly last?: string | undefined },
  limit: number,
): Promise<Account[]> {
  const rows = await client`
    SELECT ${columns(client)} FROM users WHERE true
      ${after === undefined ? client`` : client`AND id > ${after}::uuid`}
      ${last === undefined ? client`` : client`AND id <= ${last}::uuid`}
    ORDER BY users.id LIMIT ${limit}`
  return rows.map(accountOf)
}

export async function findAccounts(client: Client | TransactionSql, ids: readonly string[]): Promise<Account[]> {
  const rows = await client`
    SELECT ${columns(client)} FROM users
    WHERE id IN (SELECT value::uuid FROM json_array_elements_text(${JSON.stringify(ids)}::text::json))`
  return rows.map(accountOf)
}

function accountOf(row: Record<string, string | boolean | null>): Account {
  return {
    id: String(row.id),
    username: String(row.username),
    roles: JSON.parse(String(row.roles)).filter((role: string | null) => role !== null),
    is_active: row.is_active === true,
    must_change_password: row.must_change_password === true,
    hashed_password: String(row.hashed_password),
  }
}
