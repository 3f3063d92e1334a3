import { sql } from 'drizzle-orm'
import { guarded } from '../failure.ts'
import type { Orm } from '../pool/connection.ts'
import { instance, users } from '../schema.ts'

export interface FirstAdministrator {
  readonly username: string
  readonly hashed_password: string
  readonly full_name: string
  readonly must_change_password: boolean
}

export type InstanceStatements = ReturnType<typeof instanceStatements>

export function instanceStatements(orm: Orm) {
  return {
    /** True while nobody has decided yet whether this database gets an administrator, and it has no user. */
    needsAdministrator: (): Promise<boolean> =>
      guarded(async () => {
        const [row] = await orm.execute<{ needed: boolean }>(
          sql`SELECT NOT EXISTS (SELECT FROM ${instance}) AND NOT EXISTS (SELECT FROM ${users}) AS needed`,
        )
        return row?.needed === true
      }),

    /** True once it is decided who the first administrator is. */
    isSeeded: (): Promise<boolean> => guarded(async () => (await orm.select().from(instance).limit(1)).length === 1),

    /** Notes that this database has, or once had, users: from here on nobody is seeded. */
    insertInstance: (): Promise<void> =>
      guarded(async () => {
        await orm.insert(instance).values({ id: 1 }).onConflictDoNothing()
      }),

    /**
     * Makes the first administrator if nobody has before. One statement decides, so that of many replicas that start
     * at once exactly one answers true; the primary key of the instance row makes the others wait for it.
     */
    insertFirstAdministrator: (administrator: FirstAdministrator): Promise<boolean> =>
      guarded(async () => {
        const rows = await orm.execute(sql`
          WITH decision AS (INSERT INTO ${instance} (id) VALUES (1) ON CONFLICT DO NOTHING RETURNING id)
          INSERT INTO ${users} (username, hashed_password, full_name, roles, must_change_password)
          SELECT ${administrator.username}, ${administrator.hashed_password}, ${administrator.full_name}, '{admin}',
                 ${administrator.must_change_password}
          FROM decision WHERE NOT EXISTS (SELECT FROM ${users})
          RETURNING id`)
        return rows.length === 1
      }),
  }
}
