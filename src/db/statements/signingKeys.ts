import { asc, eq, isNotNull, lte, type SQL, sql } from 'drizzle-orm'
import { guarded } from '../failure.ts'
import type { Orm } from '../pool/connection.ts'
import { instance, sessions, signingKeys } from '../schema.ts'

export type SigningKeyRow = typeof signingKeys.$inferSelect
export type SigningKeyStatements = ReturnType<typeof signingKeyStatements>

export interface NewSigningKey {
  /** The generation that it comes behind; 0 for the first one. */
  readonly after: number
  readonly algorithm: string
  readonly kid: string | null
  readonly publicKey: string | null
  readonly privateKey: string | null
  /** Of the SECRET_KEY that the private key is encrypted under. */
  readonly fingerprint: string
  readonly now: Date
  readonly signsFrom: Date
  /** Until when the one before it verifies. */
  readonly predecessorVerifiesUntil: Date
}

export interface StoredSigningKeys {
  /** Null until a server has noted it. */
  readonly fingerprint: string | null
  /** In the order of their generations. */
  readonly rows: readonly SigningKeyRow[]
}

export function signingKeyStatements(orm: Orm) {
  const everything = orm
    .select({ fingerprint: instance.secret_key_fingerprint, key: signingKeys })
    .from(instance)
    .leftJoin(signingKeys, sql`true`)
    .orderBy(asc(signingKeys.generation))
    .prepare('list_keys')

  return {
    /** One statement, cheap enough for every few seconds: there are two or three keys. */
    listKeys: (): Promise<StoredSigningKeys> =>
      guarded(async () => {
        const rows = await everything.execute()
        return { fingerprint: rows[0]?.fingerprint ?? null, rows: rows.flatMap(({ key }) => key ?? []) }
      }),

    /** Notes the SECRET_KEY of a database that has none noted yet. */
    insertFingerprint: (fingerprint: string): Promise<void> =>
      guarded(async () => {
        await orm.execute(sql`
          INSERT INTO ${instance} AS noted (id, secret_key_fingerprint) VALUES (1, ${fingerprint})
          ON CONFLICT (id) DO UPDATE SET secret_key_fingerprint = excluded.secret_key_fingerprint
          WHERE noted.secret_key_fingerprint IS NULL`)
      }),

    /**
     * Adds the next key, and says how long the one before it verifies; answers whether it did. Not when another has taken that
     * generation, nor when the database has gone over to another SECRET_KEY: whatever lies here is encrypted under the one noted.
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

    /** Lets a key verify for longer, never for shorter. */
    extendKey: (generation: number, until: Date): Promise<void> =>
      guarded(async () => {
        await orm.execute(sql`
          UPDATE ${signingKeys} SET verifies_until = ${at(until)} WHERE generation = ${generation} AND verifies_until < ${at(until)}`)
      }),

    /**
     * Goes over to another SECRET_KEY: each private key is encrypted anew, and the fingerprint noted, all at once. Answers how
     * many; undefined when the database was not, or is no longer, at `from`. The lock keeps new keys out meanwhile.
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
          // The rows are to be read as they are behind the lock, whatever the server's default.
          { isolationLevel: 'read committed' },
        ),
      ),

    /** Deletes the keys that no longer verify; answers them. */
    deleteRetiredKeys: (now: Date): Promise<SigningKeyRow[]> =>
      guarded(() => orm.delete(signingKeys).where(lte(signingKeys.verifies_until, now)).returning()),

    /**
     * Deletes every key and every session, and notes the SECRET_KEY, all at once; answers how many sessions lived. It takes as
     * long as there are sessions.
     */
    resetKeys: (fingerprint: string, now: Date): Promise<number> =>
      guarded(() =>
        orm.transaction(async (transaction) => {
          // A connection's time limits are meant for requests.
          await transaction.execute(
            sql`SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true)`,
          )
          await transaction.update(instance).set({ secret_key_fingerprint: fingerprint }).where(eq(instance.id, 1))
          await transaction.delete(signingKeys)
          const [row] = await transaction.execute<{ ended: number }>(sql`
            WITH gone AS (DELETE FROM ${sessions} RETURNING expires_at)
            SELECT count(*) FILTER (WHERE expires_at > ${at(now)})::integer AS ended FROM gone`)
          return row?.ended ?? 0
        }),
      ),

    /** True where somebody may have a token of the time before there were keys here. */
    hasSessions: (): Promise<boolean> =>
      guarded(async () => (await orm.select({ id: sessions.id }).from(sessions).limit(1)).length === 1),
  }
}

function at(time: Date): SQL {
  return sql`${time.toISOString()}::timestamptz`
}
