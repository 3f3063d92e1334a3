import type postgres from 'postgres'
import { password } from '../options.ts'

/** Returns a hash of `password` with the default cost. */
export function hashPassword(): Promise<string> {
  return Bun.password.hash(password, { algorithm: 'argon2id', memoryCost: 65_536, timeCost: 2 })
}

/**
 * Adds users `user0`, `user1`, … with that hash and two active sessions each. As a superuser: the
 * foreign key is not checked row by row.
 */
export async function fill(client: postgres.Sql, users: number, hash: string): Promise<void> {
  await client.begin(async (transaction) => {
    await transaction`SET LOCAL session_replication_role = replica`
    await transaction`SET LOCAL work_mem = '256MB'`
    await transaction`INSERT INTO users (username, hashed_password, full_name)
      SELECT 'user' || number, ${hash}, 'User Number ' || number FROM generate_series(0, ${users - 1}::integer) AS number`
    // In the order of their ids, which fills the index faster.
    await transaction`INSERT INTO audittrail_sessions (id, user_id, created_at, last_used_at, expires_at)
      SELECT session, users.id, now(), now(), now() + interval '30 days'
      FROM users, LATERAL (SELECT gen_random_uuid() FROM generate_series(1, 2) WHERE users.id IS NOT NULL) AS s (session)
      WHERE username LIKE 'user%' ORDER BY session`
  })
  await client`VACUUM ANALYZE users, audittrail_sessions`
}
