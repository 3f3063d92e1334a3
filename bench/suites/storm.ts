import { withService } from '../database/service.ts'
import { type Load, load, type Probe, probe } from '../load/client.ts'
import { rounds, seconds } from '../options.ts'
import { verifyNatively } from '../reference/reference.ts'
import { type Row, ratio } from '../report/row.ts'
import { names } from '../report/targets.ts'

const clients = 16

/** `/auth/me` at 100 requests per second, at rest and while 16 clients log in. */
export async function measureStorm(): Promise<Row[]> {
  const quiet: Probe[] = []
  const during: Probe[] = []
  const logins: Load[] = []
  const hashes: number[] = []
  await withService(async ({ port, tokens, hash, logins: requests }) => {
    const url = `http://127.0.0.1:${port}/api/auth/me`
    await probe({ url, tokens, seconds: 1 })
    for (let round = 0; round < rounds; round++) {
      hashes.push((await verifyNatively(hash, clients, seconds)).perSecond)
      quiet.push(await probe({ url, tokens, seconds }))
      const storming = load({ port, connections: clients, seconds: seconds + 3, requests })
      await Bun.sleep(1500)
      during.push(await probe({ url, tokens, seconds }))
      logins.push(await storming)
    }
  })
  const latencies = (probes: readonly Probe[]) => probes.map(({ p99 }) => p99)
  const rates = logins.map(({ perSecond }) => perSecond)
  return [
    { what: '/auth/me at 100 requests/s, quiet p99, ms', values: latencies(quiet) },
    { what: '/auth/me p99 while 16 clients log in, ms', values: latencies(during) },
    ratio(names.storm, latencies(during), latencies(quiet)),
    { what: 'logins at 16 clients, logins/s', values: rates },
    ratio('logins at 16 clients to native argon2 alone', rates, hashes),
    { what: 'login at 16 clients, mean, ms', values: logins.map(({ mean }) => mean) },
    { what: 'login at 16 clients, p99, ms', values: logins.map(({ p99 }) => p99) },
    { what: names.loginLatency, values: logins.map(({ p99, mean }) => p99 / mean) },
  ]
}
