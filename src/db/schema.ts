import { sql } from 'drizzle-orm'
import { boolean, index, integer, pgTable, text, timestamp, uniqueIndex, uuid, varchar } from 'drizzle-orm/pg-core'

/** Every column beyond the first three has a default: INSERT INTO users(username, hashed_password, full_name) always works. */
export const users = pgTable(
  'users',
  {
    id: uuid().primaryKey().defaultRandom(),
    /** As written; looked up without case through the index below. */
    username: varchar({ length: 50 }).notNull().unique(),
    hashed_password: varchar({ length: 255 }).notNull(),
    full_name: varchar({ length: 100 }).notNull(),
    is_active: boolean().notNull().default(true),
    /** `admin` is the product's own; all others belong to the application. */
    roles: text().array().notNull().default(sql`'{}'`),
    /** The password was set by another: it signs in, and opens nothing until it is changed. */
    must_change_password: boolean().notNull().default(false),
    created_at: timestamp({ withTimezone: true }).notNull().defaultNow(),
  },
  // `Bob` and `bob` are one account, or one could pass for the other.
  (table) => [
    uniqueIndex('users_username_lower_unique').on(sql`lower(${table.username} COLLATE "C")`),
    // The last administrator is looked for at each change of one; they are few among many.
    index('users_administrators').on(table.id).where(sql`'admin' = ANY (${table.roles})`),
  ],
)

/** A login is a session, and a token is honoured only while its session lives. */
export const sessions = pgTable(
  'audittrail_sessions',
  {
    id: uuid().primaryKey(),
    user_id: uuid()
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    created_at: timestamp({ withTimezone: true }).notNull(),
    last_used_at: timestamp({ withTimezone: true }).notNull(),
    /** The session lives until then. Ended before its time, it is the epoch: no replica's clock is as slow as that. */
    expires_at: timestamp({ withTimezone: true }).notNull(),
    /** How often the refresh token was rotated; NULL where the session has none. The token itself is nowhere in the database. */
    refresh_generation: integer(),
    rotated_at: timestamp({ withTimezone: true }),
    /** The client's address at login, as text: what a proxy reports need not be an address that `inet` takes. */
    address: text(),
    user_agent: text(),
  },
  (table) => [
    index('audittrail_sessions_user_id').on(table.user_id),
    index('audittrail_sessions_expires_at').on(table.expires_at),
  ],
)

/** What `expires_at` is set to when a session ends before its time. */
export const ended = sql`to_timestamp(0)`

/** One row once the first start has decided about the administrator, so that a deleted one never comes back by itself. */
export const instance = pgTable('audittrail_instance', {
  id: integer().primaryKey(),
  seeded_at: timestamp({ withTimezone: true }).notNull().defaultNow(),
  /** Of the SECRET_KEY that this database is used with, and that its private keys are encrypted under; NULL until a server notes it. */
  secret_key_fingerprint: text(),
})

/**
 * What signs tokens, one row after the other. The row of the highest generation whose time has come signs; the ones before it
 * verify until the last token that they have signed has expired.
 */
export const signingKeys = pgTable('audittrail_keys', {
  /** Counted from 1. Whoever adds the next one says its number, so that of many at once one succeeds. */
  generation: integer().primaryKey(),
  algorithm: text().notNull(),
  /** RFC 7638 thumbprint; NULL for HS256, whose key is SECRET_KEY. */
  kid: text().unique(),
  /** JWK, as it is published; NULL for HS256. */
  public_key: text(),
  /** PKCS #8 under AES-256-GCM; NULL for HS256. */
  private_key: text(),
  created_at: timestamp({ withTimezone: true }).notNull(),
  /** From then on by every replica's own clock; until then it is only published. */
  signs_from: timestamp({ withTimezone: true }).notNull(),
  /** NULL as long as there is no next one. Kept here, so that a setting that is changed later cuts nothing short. */
  verifies_until: timestamp({ withTimezone: true }),
})

/**
 * Failed sign-ins, counted for whatever they have in common, unknown names like known ones. A row past `forgotten_at` counts as none.
 */
export const throttleFailures = pgTable(
  'audittrail_attempts',
  {
    /** What is counted, with a MAC in place of a name: the name that was typed may be a password. */
    key: text().primaryKey(),
    /** By which an administrator names the row. */
    id: uuid().notNull().unique().defaultRandom(),
    kind: text({ enum: ['network', 'account', 'client', 'device', 'session'] }).notNull(),
    /** Of a `client` (an account from one network): the key of its account. */
    account: text(),
    /** The name of an account that exists. */
    username: varchar({ length: 50 }),
    /** IPv4 address or IPv6 /64. */
    network: text(),
    /** Of an `account`: how many networks have failed at it. */
    failures: integer().notNull(),
    last_failed_at: timestamp({ withTimezone: true }).notNull(),
    forgotten_at: timestamp({ withTimezone: true }).notNull(),
  },
  (table) => [
    index('audittrail_attempts_forgotten_at').on(table.forgotten_at),
    // One user's are looked for where somebody's block is lifted, and where a user is deleted.
    index('audittrail_attempts_username').on(sql`lower(${table.username} COLLATE "C")`),
  ],
)

/** A program that has keys: a name of its own, whose id stays when its keys are changed. */
export const services = pgTable(
  'audittrail_services',
  {
    id: uuid().primaryKey().defaultRandom(),
    /** As it was first written; looked up without case through the index below. */
    name: varchar({ length: 50 }).notNull(),
    created_at: timestamp({ withTimezone: true }).notNull(),
  },
  (table) => [uniqueIndex('audittrail_services_name_lower_unique').on(sql`lower(${table.name} COLLATE "C")`)],
)

/**
 * What a service shows instead of a password. What a key opens and until when never changes; one that is revoked stays, so that what it
 * did can be laid to somebody.
 */
export const apiKeys = pgTable(
  'audittrail_api_keys',
  {
    id: uuid().primaryKey().defaultRandom(),
    service_id: uuid()
      .notNull()
      .references(() => services.id, { onDelete: 'cascade' }),
    /** SHA-256 of the key, in hexadecimal; the key itself is nowhere in the database. */
    digest: text().notNull().unique(),
    /** What it opens here. */
    scopes: text().array().notNull().default(sql`'{}'`),
    /** What it opens at services that ask by /auth/verify. */
    roles: text().array().notNull().default(sql`'{}'`),
    /** Who made it, as the trail says it. */
    created_by: text().notNull(),
    created_at: timestamp({ withTimezone: true }).notNull(),
    /** NULL: never. */
    expires_at: timestamp({ withTimezone: true }),
    /** Written once a minute at most. */
    last_used_at: timestamp({ withTimezone: true }),
    /** NULL: it is not. */
    revoked_at: timestamp({ withTimezone: true }),
    revoked_by: text(),
  },
  (table) => [index('audittrail_api_keys_service_id').on(table.service_id)],
)
