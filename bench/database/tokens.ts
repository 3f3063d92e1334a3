import { createHmac } from 'node:crypto'
import type postgres from 'postgres'
import { secretKey } from '../options.ts'

/** Returns access tokens of random sessions, made from one that the service signed with HS256. */
export async function signTokens(client: postgres.Sql, template: string, count: number): Promise<readonly string[]> {
  const [header = '', payload = ''] = template.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
  const sessions = await client`
    SELECT s.id, u.id AS user_id, u.username FROM audittrail_sessions s JOIN users u ON u.id = s.user_id
    WHERE u.username LIKE 'user%' ORDER BY random() LIMIT ${count}`
  return sessions.map(({ id, user_id: uid, username: sub }) => {
    const own = { ...claims, sid: id, uid, sub, jti: crypto.randomUUID(), roles: [] }
    const signed = `${header}.${Buffer.from(JSON.stringify(own)).toString('base64url')}`
    return `${signed}.${createHmac('sha256', secretKey).update(signed).digest('base64url')}`
  })
}
