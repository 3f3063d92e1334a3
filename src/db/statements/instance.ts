import { eq, getTableColumns, sql } from 'drizzle-orm'
import { guarded } from '../failure.ts'
import type { Orm } from '../pool/connection.ts'
import { discarded, guardedChange } from '../rejection.ts'
import { instance, sessions, signingKeys, throttleFailures, users } from '../schema.ts'
import type { User } from './users.ts'

export interface FirstAdministrator {
  readonly username: string
  readonly hashed_password: string
  readonly full_name: string
  readonly must_change_password: boolean
}

/** The tables without which no login succeeds. */
const loginTables = [users, sessions, throttleFailures, signingKeys, instance]

export type InstanceStatements = ReturnType<typeof instanceStatements>

export function instanceStatements(orm: Orm) {
  return {
    /** Returns whether the database is undecided about its administrator and has no users. */
    needsAdministrator: (): Promise<boolean> =>
      guarded(async () => {
        const [row] = await orm.execute<{ needed: boolean }>(
          sql`SELECT NOT EXISTS (SELECT FROM ${instance}) AND NOT EXISTS (SELECT FROM ${users}) AS needed`,
        )
        return row?.needed === true
      }),

    /** Returns the time of the database, in milliseconds since the epoch. */
    readTime: (): Promise<number> =>
      guarded(async () => {
        const [row] = await orm.execute<{ now: number | string }>(
          sql`SELECT (extract(epoch FROM clock_timestamp()) * 1000)::double precision AS now`,
        )
        return Number(row?.now)
      }),

    /**
     * Returns the fingerprint of SECRET_KEY, whatever version has migrated the schema. Null without
     * one.
     */
    findFingerprint: (): Promise<string | null> =>
      guarded(async () => {
        const [column] = await orm.execute(sql`
          SELECT attname FROM pg_attribute
          WHERE attrelid = to_regclass('audittrail_instance') AND attname = 'secret_key_fingerprint' AND NOT attisdropped`)
        if (!column) return null
        const [row] = await orm.execute<{ fingerprint: string | null }>(
          sql`SELECT secret_key_fingerprint AS fingerprint FROM ${instance}`,
        )
        return row?.fingerprint ?? null
      }),

    /** Returns whether the first administrator has been decided. */
    isSeeded: (): Promise<boolean> => guarded(async () => (await orm.select().from(instance).limit(1)).length === 1),

    /**
     * Reads every column of the tables that a login needs, but no rows. Throws if one is missing.
     */
    readLoginColumns: (): Promise<void> =>
      guarded(async () => {
        const parts = loginTables.map((table, index) => {
          const columns = Object.values(getTableColumns(table)).map(({ name }) => sql.identifier(name))
          return sql`(SELECT ${sql.join(columns, sql`, `)} FROM ${table} LIMIT 0) AS ${sql.identifier(`t${index}`)}`
        })
        await orm.execute(sql`SELECT FROM ${sql.join(parts, sql`, `)}`)
      }),

    /** Records that this database has or had users, so that none is seeded from now on. */
    insertInstance: (): Promise<void> =>
      guarded(async () => {
        await orm.insert(instance).values({ id: 1 }).onConflictDoNothing()
      }),

    /**
     * Creates the first administrator unless it was decided before. One statement decides, so that
     * exactly one of several concurrent starts returns the user: the others wait for the primary
     * key of the instance row.
     */
    insertFirstAdministrator: (administrator: FirstAdministrator): Promise<User | undefined> =>
      guardedChange('store', () =>
        orm.transaction(async (transaction) => {
          const [row] = await transaction.execute<{ decided: boolean; id: string | null }>(sql`
            WITH decision AS (INSERT INTO ${instance} (id) VALUES (1) ON CONFLICT DO NOTHING RETURNING id),
            administrator AS (
              INSERT INTO ${users} (username, hashed_password, full_name, roles, must_change_password)
              SELECT ${administrator.username}, ${administrator.hashed_password}, ${administrator.full_name}, '{admin}',
                     ${administrator.must_change_password}
              FROM decision WHERE NOT EXISTS (SELECT FROM ${users})
              RETURNING id)
            SELECT EXISTS (SELECT FROM decision) AND NOT EXISTS (SELECT FROM ${users}) AS decided,
                   (SELECT id::text FROM administrator) AS id`)
          if (row?.decided && row.id === null) throw discarded()
          if (!row?.id) return undefined
          return (await transaction.select().from(users).where(eq(users.id, row.id)))[0]
        }),
      ),
  }
}
