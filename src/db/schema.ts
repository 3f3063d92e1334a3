import { sql } from 'drizzle-orm'
import {
  boolean,
  customType,
  index,
  integer,
  pgTable,
  text,
  timestamp,
  uniqueIndex,
  uuid,
  varchar,
} from 'drizzle-orm/pg-core'
import { textArray } from './textArray.ts'

/** The first and last time that ISO 8601 can name. */
const [firstTime, lastTime] = [new Date('0001-01-01T00:00:00.000Z'), new Date('9999-12-31T23:59:59.999Z')]

/**
 * An adopted table may have `infinity`, years before 1 and years after 9999, and times without a
 * zone, which are in UTC.
 */
const creationTime = customType<{ data: Date; driverData: string }>({
  dataType: () => 'timestamp with time zone',
  fromDriver: (text) => {
    if (/^-infinity$| BC$/.test(text)) return firstTime
    if (/^infinity$|^\d{5}/.test(text)) return lastTime
    return new Date(/[+-]\d\d(:\d\d)*$/.test(text) ? text : `${text}Z`)
  },
  toDriver: (time) => time.toISOString(),
})

/**
 * Every other column has a default: INSERT INTO users(username, hashed_password, full_name) always
 * works.
 */
export const users = pgTable(
  'users',
  {
    id: uuid().primaryKey().defaultRandom(),
    /** As entered. The index below looks it up without case. */
    username: varchar({ length: 50 }).notNull().unique(),
    hashed_password: varchar({ length: 255 }).notNull(),
    full_name: varchar({ length: 100 }).notNull(),
    is_active: boolean().notNull().default(true),
    /** `admin` is AuditTrail's own role. All others belong to the application. */
    roles: textArray().notNull().default(sql`'{}'`),
    /** Someone else set the password. It must be changed before it gives access to anything. */
    must_change_password: boolean().notNull().default(false),
    created_at: creationTime().notNull().default(sql`now()`),
  },
  // `Bob` and `bob` are one account, so that neither can impersonate the other.
  (table) => [
    uniqueIndex('users_username_lower_unique').on(sql`lower(${table.username} COLLATE "C")`),
    // Every change of an administrator checks that another remains. Administrators are few among
    // many users.
    index('users_administrators').on(table.id).where(sql`'admin' = ANY (${table.roles})`),
    // The index users_full_name_words is in the migration alone: drizzle-kit cannot express it.
  ],
)

/** Every login starts a session. A token is honored only while its session is active. */
export const sessions = pgTable(
  'audittrail_sessions',
  {
    id: uuid().primaryKey(),
    user_id: uuid()
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    created_at: timestamp({ withTimezone: true }).notNull(),
    last_used_at: timestamp({ withTimezone: true }).notNull(),
    /**
     * The end of the session. A session that ended early has the epoch, which no replica's clock
     * precedes.
     */
    expires_at: timestamp({ withTimezone: true }).notNull(),
    /**
     * The number of rotations; NULL without a refresh token. The token itself is not in the
     * database.
     */
    refresh_generation: integer(),
    rotated_at: timestamp({ withTimezone: true }),
    /**
     * The client's address at login. Text, since what a proxy reports may not be a valid `inet`.
     */
    address: text(),
    user_agent: text(),
    /**
     * When the session has ended at the latest. Set once. NULL if an older version started the
     * session.
     */
    sweep_at: timestamp({ withTimezone: true }),
    /** `session_epoch` at the start. NULL if an older version started the session. */
    epoch: integer(),
    /** The credential: tokens or a cookie. */
    kind: text({ enum: ['token', 'browser'] })
      .notNull()
      .default('token'),
    /** The number of rotations of the cookie. NULL for a token session. */
    cookie_generation: integer(),
    cookie_rotated_at: timestamp({ withTimezone: true }),
    /** Whether the cookie outlives the browser. */
    is_persistent: boolean().notNull().default(false),
  },
  // No index has a column that a refresh changes, so that updates are HOT.
  (table) => [
    index('audittrail_sessions_user_id').on(table.user_id),
    index('audittrail_sessions_sweep_at').on(table.sweep_at).where(sql`${table.sweep_at} IS NOT NULL`),
    index('audittrail_sessions_unscheduled').on(table.id).where(sql`${table.sweep_at} IS NULL`),
  ],
)

/** When each user last signed in. Outlives the session. */
export const signIns = pgTable('audittrail_sign_ins', {
  user_id: uuid()
    .primaryKey()
    .references(() => users.id, { onDelete: 'cascade' }),
  last_at: timestamp({ withTimezone: true }).notNull(),
})

/** The value of `expires_at` for a session that ended early. */
export const ended = sql`to_timestamp(0)`

/**
 * One row once the first start has seeded or skipped the administrator, so that a deleted one never
 * returns.
 */
export const instance = pgTable('audittrail_instance', {
  id: integer().primaryKey(),
  seeded_at: timestamp({ withTimezone: true }).notNull().defaultNow(),
  /**
   * The fingerprint of SECRET_KEY, which encrypts the private keys. NULL until a server records it.
   */
  secret_key_fingerprint: text(),
  /** Sessions of another epoch have ended. */
  session_epoch: integer().notNull().default(0),
  /** When the epoch began. Ends earlier sessions of older versions, which have no epoch. */
  epoch_began_at: timestamp({ withTimezone: true }),
  /** The epoch whose predecessors' sessions have been deleted. */
  swept_epoch: integer().notNull().default(0),
})

/**
 * The keys that sign tokens. The newest one whose time has come signs; older ones verify until the
 * last token they signed has expired.
 */
export const signingKeys = pgTable('audittrail_keys', {
  /**
   * Starts at 1. An insert names the next number, so that of several concurrent ones one succeeds.
   */
  generation: integer().primaryKey(),
  algorithm: text().notNull(),
  /** RFC 7638 thumbprint. NULL for HS256, whose key is SECRET_KEY. */
  kid: text().unique(),
  /** The published JWK. NULL for HS256. */
  public_key: text(),
  /** PKCS #8 under AES-256-GCM. NULL for HS256. */
  private_key: text(),
  created_at: timestamp({ withTimezone: true }).notNull(),
  /** Each replica signs with it from then on, by its own clock. Until then it is only published. */
  signs_from: timestamp({ withTimezone: true }).notNull(),
  /**
   * NULL until the next key exists. Stored, so that a later change of settings cuts nothing short.
   */
  verifies_until: timestamp({ withTimezone: true }),
})

/**
 * Failed sign-ins, counted per account, network, client and device, for unknown usernames too. Rows
 * past `forgotten_at` no longer count.
 */
export const throttleFailures = pgTable(
  'audittrail_attempts',
  {
    /** The counted subject. A username is a MAC, since users may type a password there. */
    key: text().primaryKey(),
    /** The id that administrators use. */
    id: uuid().notNull().unique().defaultRandom(),
    kind: text({ enum: ['network', 'account', 'client', 'device', 'session'] }).notNull(),
    /** For a `client` (an account from one network): the key of its account. */
    account: text(),
    /** `account_username` as versions before it know it: NULL if it is longer. */
    username: varchar({ length: 50 }),
    /** The username, if the account exists. As wide as in an adopted table. */
    account_username: text(),
    /** IPv4 address or IPv6 /64. */
    network: text(),
    /** For an `account`: the number of networks with failures. */
    failures: integer().notNull(),
    last_failed_at: timestamp({ withTimezone: true }).notNull(),
    forgotten_at: timestamp({ withTimezone: true }).notNull(),
  },
  (table) => [
    index('audittrail_attempts_forgotten_at').on(table.forgotten_at),
    // Looked up when a user's lockouts are lifted and when a user is deleted.
    index('audittrail_attempts_username').on(sql`lower(${table.username} COLLATE "C")`),
    index('audittrail_attempts_account_username').on(
      sql`lower(coalesce(${table.account_username}, ${table.username}) COLLATE "C")`,
    ),
  ],
)

/** A program with API keys. Its id stays the same when its keys change. */
export const services = pgTable(
  'audittrail_services',
  {
    id: uuid().primaryKey().defaultRandom(),
    /** As first entered. The index below looks it up without case. */
    name: varchar({ length: 50 }).notNull(),
    created_at: timestamp({ withTimezone: true }).notNull(),
  },
  (table) => [uniqueIndex('audittrail_services_name_lower_unique').on(sql`lower(${table.name} COLLATE "C")`)],
)

/**
 * The credentials of a service. Access and expiry of a key never change. A revoked key stays, so
 * that the audit log can name its service.
 */
export const apiKeys = pgTable(
  'audittrail_api_keys',
  {
    id: uuid().primaryKey().defaultRandom(),
    service_id: uuid()
      .notNull()
      .references(() => services.id, { onDelete: 'cascade' }),
    /** SHA-256 of the key in hexadecimal. The key itself is not in the database. */
    digest: text().notNull().unique(),
    /** Access to AuditTrail's own API. */
    scopes: text().array().notNull().default(sql`'{}'`),
    /** Access to services that use /auth/verify. */
    roles: textArray().notNull().default(sql`'{}'`),
    /** The actor, as in the log. */
    created_by: text().notNull(),
    created_at: timestamp({ withTimezone: true }).notNull(),
    /** NULL: never. */
    expires_at: timestamp({ withTimezone: true }),
    /** Written at most once a minute. */
    last_used_at: timestamp({ withTimezone: true }),
    /** NULL: not revoked. */
    revoked_at: timestamp({ withTimezone: true }),
    revoked_by: text(),
  },
  (table) => [index('audittrail_api_keys_service_id').on(table.service_id)],
)
