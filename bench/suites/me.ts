import { withService } from '../database/service.ts'
import { interleave, type Load, load, type Run, ratesOf } from '../load/client.ts'
import { get } from '../load/requests.ts'
import { startReference } from '../reference/reference.ts'
import { loadRows, type Row, ratio } from '../report/row.ts'
import { names } from '../report/targets.ts'

/** Requests with a token, next to a constant and to one prepared SELECT. */
export async function measureMe(): Promise<Row[]> {
  const rows: Row[] = []
  await withService(async ({ port, databaseUrl, tokens }) => {
    const constant = await startReference('hello')
    const select = await startReference('select', databaseUrl)
    const requests = tokens.map((token) => get('/api/auth/me', token))
    const run =
      (at: number): Run<Load> =>
      (seconds) =>
        load({ port: at, seconds, requests })
    const runs = await interleave({ constant: run(constant.port), select: run(select.port), me: run(port) })
    for (const reference of [constant, select]) await reference.stop()
    const latencies = (of: readonly Load[]) => of.map(({ p99 }) => p99)
    rows.push(
      ...loadRows('constant Bun.serve', runs.constant),
      ...loadRows('Bun.serve + one prepared SELECT', runs.select),
      ...loadRows('/auth/me', runs.me),
      ratio(names.me, ratesOf(runs.me), ratesOf(runs.select)),
      ratio(names.meLatency, latencies(runs.me), latencies(runs.select)),
      ratio('/auth/me to a constant', ratesOf(runs.me), ratesOf(runs.constant)),
    )
  })
  return rows
}
