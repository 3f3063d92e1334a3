import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  check,
  customType,
  index,
  integer,
  pgTable,
  primaryKey,
  smallint,
  text,
  timestamp,
  unique,
  uuid,
} from 'drizzle-orm/pg-core'

const bytes = customType<{ data: Buffer }>({ dataType: () => 'bytea' })
const count = () => bigint({ mode: 'number' })

/**
 * Events that are committed with their change and not in the log yet. A sign-in waits for this
 * insert, so there is no further index.
 */
export const auditPending = pgTable('audittrail_audit_pending', {
  id: count().primaryKey().generatedAlwaysAsIdentity(),
  process: text().notNull(),
  n: count().notNull(),
  leaf: text().notNull(),
  by_private: text(),
  about_private: text(),
  mac: bytes().notNull(),
  /** When it was found not to be written by this service. It stays out of the log. */
  refused_at: timestamp({ withTimezone: true }),
})

/** The log: one leaf of the tree per row, with columns to filter by that repeat what it says. */
export const auditEvents = pgTable(
  'audittrail_audit_events',
  {
    index: count().primaryKey(),
    leaf: text().notNull(),
    hash: bytes().notNull(),
    /** A MAC of index and hash, which names the record if all hashes were recomputed. */
    seal: bytes().notNull(),
    process: text().notNull(),
    n: count().notNull(),
    time: timestamp({ withTimezone: true }).notNull(),
    type: text().notNull(),
    by_id: uuid(),
    about_id: uuid(),
    outcome: text().notNull(),
    /**
     * Personal data with a salt, whose hash is in the leaf. NULL: there is none, or it was erased.
     */
    by_private: text(),
    about_private: text(),
  },
  (table) => [
    unique('audittrail_audit_events_process_n').on(table.process, table.n),
    index('audittrail_audit_events_time').on(table.time),
    index('audittrail_audit_events_type').on(table.type, table.index),
    index('audittrail_audit_events_outcome').on(table.outcome, table.index),
    index('audittrail_audit_events_by').on(table.by_id, table.index).where(sql`${table.by_id} IS NOT NULL`),
    index('audittrail_audit_events_about').on(table.about_id, table.index).where(sql`${table.about_id} IS NOT NULL`),
    // A hash in a wrong encoding would otherwise be stored as text.
    check('audittrail_audit_events_hash_length', sql`octet_length(${table.hash}) = 32`),
  ],
)

/** The roots of full subtrees of 256^level leaves. */
export const auditNodes = pgTable(
  'audittrail_audit_nodes',
  { level: smallint().notNull(), index: count().notNull(), hash: bytes().notNull() },
  (table) => [primaryKey({ columns: [table.level, table.index] })],
)

/** Every signed tree head. */
export const auditCheckpoints = pgTable(
  'audittrail_audit_checkpoints',
  {
    size: count().primaryKey(),
    root: bytes().notNull(),
    note: text().notNull(),
    made_at: timestamp({ withTimezone: true }).notNull(),
    /** When the first witness cosigned it. */
    cosigned_at: timestamp({ withTimezone: true }),
  },
  (table) => [
    index('audittrail_audit_checkpoints_cosigned').on(table.size).where(sql`${table.cosigned_at} IS NOT NULL`),
  ],
)

/**
 * What the witnesses have cosigned, by key. A process claims a witness to send it a checkpoint.
 * The daily verification claims one more row.
 */
export const auditWitnesses = pgTable('audittrail_audit_witnesses', {
  name: text().primaryKey(),
  /** The size of the newest checkpoint that it is known to have. */
  size: count().notNull(),
  cosigned_at: timestamp({ withTimezone: true }),
  claimed_until: timestamp({ withTimezone: true }).notNull(),
})

/** One row: the name of the log, and what was pruned from its beginning. */
export const auditState = pgTable('audittrail_audit_state', {
  id: integer().primaryKey(),
  origin: text().notNull(),
  /** Records below it were pruned. */
  minimum_index: count().notNull().default(0),
  /** Pending events from before it are refused: they may be copies of pruned records. */
  pruned_before: timestamp({ withTimezone: true }),
})

/**
 * One row: how the states of accounts in the log are made, and how far the baseline of accounts is.
 */
export const auditAccounts = pgTable('audittrail_audit_accounts', {
  id: integer().primaryKey(),
  /** 32 random bytes. Without them, a state cannot be guessed from the log. */
  salt: bytes().notNull(),
  /** The last account in the baseline. NULL: it has not begun. */
  baseline_after: uuid(),
  is_complete: boolean().notNull().default(false),
})
