import { asc, eq, isNotNull, isNull, lte, type SQL, sql } from 'drizzle-orm'
import { isActive } from '../epoch.ts'
import { guarded } from '../failure.ts'
import type { Orm } from '../pool/connection.ts'
import { instance, sessions, signingKeys } from '../schema.ts'

export type SigningKeyRow = typeof signingKeys.$inferSelect
export type SigningKeyStatements = ReturnType<typeof signingKeyStatements>

/** A key that signs from `now`. */
export interface FirstSigningKey {
  readonly algorithm: string
  readonly kid: string | null
  readonly publicKey: string | null
  readonly privateKey: string | null
  /** The SECRET_KEY that encrypts the private key. */
  readonly fingerprint: string
  readonly now: Date
}

export interface NewSigningKey extends FirstSigningKey {
  /** The previous generation; 0 for the first key. */
  readonly after: number
  readonly signsFrom: Date
  /** How long the previous key verifies. */
  readonly predecessorVerifiesUntil: Date
}

export interface StoredSigningKeys {
  /** Null until a server has recorded it. */
  readonly fingerprint: string | null
  /** Ordered by generation. */
  readonly rows: readonly SigningKeyRow[]
}

/** More sessions are not counted. */
const countedSessions = 10_000

export function signingKeyStatements(orm: Orm) {
  const everything = orm
    .select({ fingerprint: instance.secret_key_fingerprint, key: signingKeys })
    .from(instance)
    .leftJoin(signingKeys, sql`true`)
    .orderBy(asc(signingKeys.generation))
    .prepare('list_keys')

  return {
    /** One low-cost statement for every few seconds: there are two or three keys. */
    listKeys: (): Promise<StoredSigningKeys> =>
      guarded(async () => {
        const rows = await everything.execute()
        return { fingerprint: rows[0]?.fingerprint ?? null, rows: rows.flatMap(({ key }) => key ?? []) }
      }),

    /**
     * Records the SECRET_KEY fingerprint of a database that has an instance row and no fingerprint.
     * Returns whether it did.
     */
    bindFingerprint: (fingerprint: string): Promise<boolean> =>
      guarded(async () => {
        const rows = await orm
          .update(instance)
          .set({ secret_key_fingerprint: fingerprint })
          .where(isNull(instance.secret_key_fingerprint))
          .returning({ id: instance.id })
        return rows.length === 1
      }),

    /**
     * Adds the next key and sets how long the previous one verifies. Returns false if the
     * generation is taken or the database has changed its SECRET_KEY, which encrypts every key
     * here.
     */
    insertKey: (key: NewSigningKey): Promise<boolean> =>
      guarded(async () => {
        const rows = await orm.execute(sql`
          WITH made AS (
            INSERT INTO ${signingKeys} (generation, algorithm, kid, public_key, private_key, created_at, signs_from)
            SELECT ${key.after + 1}::integer, ${key.algorithm}, ${key.kid}::text, ${key.publicKey}::text, ${key.privateKey}::text,
                   ${at(key.now)}, ${at(key.signsFrom)}
            FROM ${instance} WHERE id = 1 AND secret_key_fingerprint = ${key.fingerprint} FOR SHARE
            ON CONFLICT (generation) DO NOTHING
            RETURNING generation),
          stopped AS (
            UPDATE ${signingKeys} SET verifies_until = ${at(key.predecessorVerifiesUntil)}
            FROM made WHERE ${signingKeys.generation} = made.generation - 1)
          SELECT generation FROM made`)
        return rows.length === 1
      }),

    /** Extends how long a key verifies. Never shortens it. */
    extendKey: (generation: number, until: Date): Promise<void> =>
      guarded(async () => {
        await orm.execute(sql`
          UPDATE ${signingKeys} SET verifies_until = ${at(until)} WHERE generation = ${generation} AND verifies_until < ${at(until)}`)
      }),

    /**
     * Changes SECRET_KEY: stores each private key encrypted again, and the new fingerprint, at
     * once. Returns the number of keys, or undefined if the database is not at `from`. The lock
     * keeps new keys out.
     */
    reencryptKeys: (change: {
      readonly from: string
      readonly to: string
      readonly reencrypt: (row: SigningKeyRow & { readonly private_key: string }) => string
    }): Promise<number | undefined> =>
      guarded(() =>
        orm.transaction(
          async (transaction) => {
            const [noted] = await transaction.select().from(instance).where(eq(instance.id, 1)).for('update')
            if (noted?.secret_key_fingerprint !== change.from) return undefined
            const rows = await transaction.select().from(signingKeys).where(isNotNull(signingKeys.private_key))
            for (const row of rows) {
              const privateKey = change.reencrypt({ ...row, private_key: row.private_key ?? '' })
              await transaction
                .update(signingKeys)
                .set({ private_key: privateKey })
                .where(eq(signingKeys.generation, row.generation))
            }
            await transaction.update(instance).set({ secret_key_fingerprint: change.to }).where(eq(instance.id, 1))
            return rows.length
          },
          // Read the rows after the lock, whatever the server's default isolation.
          { isolationLevel: 'read committed' },
        ),
      ),

    /** Deletes keys that no longer verify. Returns them. */
    deleteRetiredKeys: (now: Date): Promise<SigningKeyRow[]> =>
      guarded(() => orm.delete(signingKeys).where(lte(signingKeys.verifies_until, now)).returning()),

    /**
     * Replaces every key by `first`, ends every session and records the SECRET_KEY, at once.
     * Returns the number of sessions, or null if there are too many to count. Takes the same time
     * for any number.
     */
    resetKeys: ({ algorithm, kid, publicKey, privateKey, fingerprint, now }: FirstSigningKey): Promise<number | null> =>
      guarded(() =>
        orm.transaction(async (transaction) => {
          // The connection's time limits are for requests.
          await transaction.execute(
            sql`SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true)`,
          )
          const [row] = await transaction.execute<{ total: number; active: number }>(sql`
            SELECT count(*)::integer AS total, count(*) FILTER (WHERE is_active)::integer AS active
            FROM (SELECT ${isActive(now)} AS is_active FROM ${sessions} LIMIT ${countedSessions}) AS counted`)
          await transaction
            .update(instance)
            .set({
              secret_key_fingerprint: fingerprint,
              session_epoch: sql`${instance.session_epoch} + 1`,
              epoch_began_at: now,
            })
            .where(eq(instance.id, 1))
          await transaction.delete(signingKeys)
          await transaction.insert(signingKeys).values({
            generation: 1,
            algorithm,
            kid,
            public_key: publicKey,
            private_key: privateKey,
            created_at: now,
            signs_from: now,
          })
          return row && row.total < countedSessions ? row.active : null
        }),
      ),

    /** Returns whether tokens from before there were keys may be valid. A reset has ended them. */
    hasSessionsFromBeforeKeys: (): Promise<boolean> =>
      guarded(async () => {
        const rows = await orm
          .select({ id: sessions.id })
          .from(sessions)
          .where(sql`NOT EXISTS (SELECT FROM ${instance} WHERE session_epoch > 0)`)
          .limit(1)
        return rows.length === 1
      }),
  }
}

function at(time: Date): SQL {
  return sql`${time.toISOString()}::timestamptz`
}
