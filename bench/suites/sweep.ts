import type postgres from 'postgres'
import { withService } from '../database/service.ts'
import { load } from '../load/client.ts'
import { get } from '../load/requests.ts'
import { seconds } from '../options.ts'
import type { Row } from '../report/row.ts'

/** `/auth/me` while a million expired sessions are swept after startup. */
export async function measureSweep(): Promise<Row[]> {
  const rows: Row[] = []
  await withService(async ({ port, client, tokens, startAnother }) => {
    const requests = tokens.map((token) => get('/api/auth/me', token))
    const quiet = await load({ port, seconds, requests })
    await client`INSERT INTO audittrail_sessions (id, user_id, created_at, last_used_at, expires_at)
      SELECT gen_random_uuid(), users.id, now(), now(), now() - interval '1 day'
      FROM users, generate_series(1, 1000000) WHERE username = 'admin'`
    await client`ANALYZE audittrail_sessions`
    const second = await startAnother()
    const started = performance.now()
    const busy = await load({ port: second.port, seconds, requests })
    await waitUntilSwept(client)
    rows.push(
      { what: '/auth/me, p99 without a sweep, ms', values: [quiet.p99] },
      { what: '/auth/me, p99 during a sweep of a million expired sessions, ms', values: [busy.p99] },
      { what: 'sweep of a million expired sessions, s', values: [(performance.now() - started) / 1000] },
    )
    await second.stop()
  })
  return rows
}

async function waitUntilSwept(client: postgres.Sql): Promise<void> {
  for (;;) {
    const [row] = await client`SELECT EXISTS (SELECT FROM audittrail_sessions WHERE expires_at < now()) AS left`
    if (!row?.left) return
    await Bun.sleep(250)
  }
}
