import { and, desc, eq, gte, inArray, isNull, lte, or, sql } from 'drizzle-orm'
import { type ChangeObserver, unobserved } from '../changes.ts'
import { guarded } from '../failure.ts'
import type { Orm } from '../pool/connection.ts'
import { apiKeys, services } from '../schema.ts'

export type ApiKeyStatements = ReturnType<typeof apiKeyStatements>

export interface StoredApiKey {
  readonly id: string
  readonly service_id: string
  /** The name of the service. */
  readonly name: string
  readonly scopes: readonly string[]
  readonly roles: readonly string[]
  readonly created_by: string
  readonly created_at: Date
  /** Null: never. */
  readonly expires_at: Date | null
  readonly last_used_at: Date | null
  /** Null: not revoked. */
  readonly revoked_at: Date | null
  readonly revoked_by: string | null
}

export interface NewApiKey {
  readonly name: string
  readonly digest: string
  readonly scopes: readonly string[]
  readonly roles: readonly string[]
  readonly createdBy: string
  readonly now: Date
  readonly expiresAt: Date | null
}

export interface ApiKeyPage {
  /** Where the previous page ended. */
  readonly after: { readonly createdAt: Date; readonly id: string } | undefined
  readonly limit: number
  /** Include revoked keys. */
  readonly all: boolean
}

export interface Revocation {
  readonly now: Date
  readonly by: string
}

const columns = {
  id: apiKeys.id,
  service_id: apiKeys.service_id,
  name: services.name,
  scopes: apiKeys.scopes,
  roles: apiKeys.roles,
  created_by: apiKeys.created_by,
  created_at: apiKeys.created_at,
  expires_at: apiKeys.expires_at,
  last_used_at: apiKeys.last_used_at,
  revoked_at: apiKeys.revoked_at,
  revoked_by: apiKeys.revoked_by,
}

export function apiKeyStatements(orm: Orm, changes: ChangeObserver = unobserved) {
  return {
    /** Adds a key, and its service if none has that name (compared without case). */
    insertApiKey: (key: NewApiKey): Promise<StoredApiKey> =>
      guarded(async () => {
        const created = await orm.transaction(async (transaction) => {
          const [service] = await transaction.execute<{ id: string; name: string }>(sql`
            INSERT INTO ${services} AS known (name, created_at) VALUES (${key.name}, ${key.now.toISOString()}::timestamptz)
            ON CONFLICT (lower(name COLLATE "C")) DO UPDATE SET name = known.name
            RETURNING id, name`)
          const { id: service_id, name } = service as { id: string; name: string }
          const [row] = await transaction
            .insert(apiKeys)
            .values({
              service_id,
              digest: key.digest,
              scopes: [...key.scopes],
              roles: [...key.roles],
              created_by: key.createdBy,
              created_at: key.now,
              expires_at: key.expiresAt,
            })
            .returning()
          return { ...(row as typeof apiKeys.$inferSelect), name }
        })
        changes.apiKeyCreated(created.id)
        return created
      }),

    /** Lists one page, newest first. */
    listApiKeys: ({ after, limit, all }: ApiKeyPage): Promise<StoredApiKey[]> =>
      guarded(() =>
        orm
          .select(columns)
          .from(apiKeys)
          .innerJoin(services, eq(services.id, apiKeys.service_id))
          .where(
            and(
              all ? undefined : isNull(apiKeys.revoked_at),
              after &&
                sql`(${apiKeys.created_at}, ${apiKeys.id}) < (${after.createdAt.toISOString()}::timestamptz, ${after.id}::uuid)`,
            ),
          )
          .orderBy(desc(apiKeys.created_at), desc(apiKeys.id))
          .limit(limit),
      ),

    /** Revokes a key. Returns it, or undefined if there is none to revoke. */
    revokeApiKey: (
      key: { readonly id: string } | { readonly digest: string },
      { now, by }: Revocation,
    ): Promise<StoredApiKey | undefined> =>
      guarded(async () => {
        const which = 'id' in key ? eq(apiKeys.id, key.id) : eq(apiKeys.digest, key.digest)
        // In one statement, so that the revoked key can always be logged with its service.
        const name = sql<string>`(SELECT name FROM ${services} WHERE id = ${apiKeys.service_id})`
        const [row] = await orm
          .update(apiKeys)
          .set({ revoked_at: now, revoked_by: by })
          .where(and(which, isNull(apiKeys.revoked_at)))
          .returning({ ...columns, name })
        if (row) changes.apiKeysRevoked([row])
        return row
      }),

    /**
     * Revokes all keys of a service. Returns them, or undefined if no such service ever existed.
     */
    revokeApiKeysOf: (name: string, { now, by }: Revocation): Promise<StoredApiKey[] | undefined> =>
      guarded(async () => {
        const isCalled = sql`lower(${services.name} COLLATE "C") = lower(${name} COLLATE "C")`
        const [service] = await orm.select().from(services).where(isCalled)
        if (!service) return undefined
        const rows = await orm
          .update(apiKeys)
          .set({ revoked_at: now, revoked_by: by })
          .where(and(eq(apiKeys.service_id, service.id), isNull(apiKeys.revoked_at)))
          .returning()
        changes.apiKeysRevoked(rows)
        return rows.map((row) => ({ ...row, name: service.name }))
      }),

    /**
     * Records the last use of keys whose recorded use is missing, up to `early`, or from `late` on,
     * so that one of several replicas writes. Rows that another replica has locked are skipped.
     */
    updateLastUse: (ids: readonly string[], now: Date, { early, late }: { early: Date; late: Date }): Promise<void> =>
      guarded(async () => {
        const latest = apiKeys.last_used_at
        const isStale = or(isNull(latest), lte(latest, early), gte(latest, late))
        const stale = orm
          .select({ id: apiKeys.id })
          .from(apiKeys)
          .where(and(inArray(apiKeys.id, [...ids]), isStale))
          .for('no key update', { skipLocked: true })
        await orm.update(apiKeys).set({ last_used_at: now }).where(inArray(apiKeys.id, stale))
      }),
  }
}
