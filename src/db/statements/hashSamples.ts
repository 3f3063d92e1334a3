import { guarded } from '../failure.ts'
import type { Connection } from '../pool/connection.ts'

export type HashSampleStatements = ReturnType<typeof hashSampleStatements>

/** Hashes of a page of users, one for each prefix. */
export interface HashSamples {
  readonly hashes: readonly string[]
  /** The id that the next page starts after; undefined after the last one. */
  readonly next: string | undefined
}

/** Matches a hash up to its cost. Without captures, which PostgreSQL finds ten times as slowly. */
const upToCost = `^(?:\\{[^}]*\\})?(?:argon2|bcrypt\\$|bcrypt_sha256\\$)?(?:${[
  '\\$argon2(?:id|i|d)\\$v=19\\$m=\\d+,t=\\d+,p=\\d+\\$',
  '\\$2[aby]\\$\\d\\d\\$',
  '\\$bcrypt-sha256\\$(?:v=2,t=)?2[aby],(?:r=)?\\d+\\$',
  'pbkdf2_\\w+\\$\\d+\\$',
  'pbkdf2:\\w+:\\d+\\$',
  '\\$pbkdf2[^$]*\\$[^$]*\\$',
  '\\d+\\$',
  'scrypt\\$\\d+\\$',
  'scrypt:\\d+:\\d+:\\d+\\$',
  '\\$(?:firebase-)?scrypt\\$[^$]*\\$',
].join('|')})`

export function hashSampleStatements({ client }: Pick<Connection, 'client'>) {
  return {
    /**
     * Returns samples of the hashes of at most `limit` users, by id. Hashes with the same prefix
     * and length take the same work. Django's scrypt has two of its parameters after the salt.
     */
    sampleHashes: (after: string | undefined, limit: number): Promise<HashSamples> =>
      guarded(async () => {
        const rows = await client`
          WITH page AS MATERIALIZED (
            SELECT id, hashed_password COLLATE "C" AS hash FROM users
            ${after === undefined ? client`` : client`WHERE id > ${after}::uuid`} ORDER BY id LIMIT ${limit}::integer)
          SELECT min(hash) AS hash,
                 (SELECT id::text FROM page ORDER BY id OFFSET ${limit}::integer - 1 LIMIT 1) AS next
          FROM page
          GROUP BY CASE WHEN hash LIKE '$argon2%' THEN split_part(hash, '$', 2) || split_part(hash, '$', 3) || split_part(hash, '$', 4)
                        WHEN hash LIKE '$2_$%' THEN left(hash, 7)
                        WHEN hash LIKE 'pbkdf2!_%' ESCAPE '!' THEN split_part(hash, '$', 1) || split_part(hash, '$', 2)
                        ELSE substring(hash FROM ${upToCost}::text) END, length(hash),
                   CASE WHEN hash LIKE 'scrypt$%' THEN split_part(hash, '$', 4) || '$' || split_part(hash, '$', 5) END`
        return { hashes: rows.map((row) => String(row.hash)), next: rows[0]?.next ?? undefined }
      }),
  }
}
