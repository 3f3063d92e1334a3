import postgres from 'postgres'
import { startServer } from '../test/postgresqlServer.ts'
import { binary, load, start } from './machine.ts'
import { seconds, settingsFor } from './options.ts'
import { report } from './report.ts'
import { meRequest } from './requests.ts'

/** Measures /auth/me while a million expired sessions are swept after startup. */
export async function measureSweep(): Promise<void> {
  const server = await startServer([])
  const environment = settingsFor(server.url)
  const client = postgres(server.url, { max: 1, onnotice: () => {} })
  try {
    const first = await start({ file: binary, path: '/api/ready', environment })
    const quiet = await load(first.port, 32, seconds, await meRequest(first.port))
    await first.stop()
    await client`INSERT INTO audittrail_sessions (id, user_id, created_at, last_used_at, expires_at)
      SELECT gen_random_uuid(), users.id, now(), now(), now() - interval '1 day' FROM users, generate_series(1, 1000000)`
    await client`ANALYZE audittrail_sessions`
    const second = await start({ file: binary, path: '/api/ready', environment })
    const started = performance.now()
    const busy = await load(second.port, 32, seconds, await meRequest(second.port))
    await waitUntilSwept(client)
    report('GET /api/auth/me, p99 without a sweep, ms', [quiet.p99])
    report('GET /api/auth/me, p99 during a sweep of a million expired sessions, ms', [busy.p99])
    report('sweep of a million expired sessions, seconds', [(performance.now() - started) / 1000])
    await second.stop()
  } finally {
    await client.end()
    await server.stop()
  }
}

async function waitUntilSwept(client: postgres.Sql): Promise<void> {
  for (;;) {
    const [row] = await client`SELECT EXISTS (SELECT FROM audittrail_sessions WHERE expires_at < now()) AS left`
    if (!row?.left) return
    await Bun.sleep(250)
  }
}
