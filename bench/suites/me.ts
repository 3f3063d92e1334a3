import { withService } from '../database/service.ts'
import { interleave, type Load, type Run, ratesOf } from '../load/client.ts'
import { type CostedLoad, costRows, loadWithCost, totalCosts } from '../load/cost.ts'
import { get } from '../load/requests.ts'
import type { Started } from '../machine/process.ts'
import { startReference } from '../reference/reference.ts'
import { loadRows, type Row, ratio } from '../report/row.ts'
import { names } from '../report/targets.ts'

/** Requests with a token, next to a constant and to one prepared SELECT. */
export async function measureMe(): Promise<Row[]> {
  const rows: Row[] = []
  await withService(async (service) => {
    const { databaseUrl, databaseId, tokens } = service
    const constant = await startReference('hello')
    const select = await startReference('select', databaseUrl)
    const requests = tokens.map((token) => get('/api/auth/me', token))
    const run =
      ({ port, process: { pid } }: Started): Run<CostedLoad> =>
      (seconds) =>
        loadWithCost({ port, seconds, requests }, pid, databaseId)
    const runs = await interleave({ constant: run(constant), select: run(select), me: run(service) })
    for (const reference of [constant, select]) await reference.stop()
    const latencies = (of: readonly Load[]) => of.map(({ p99 }) => p99)
    rows.push(
      ...loadRows('constant Bun.serve', runs.constant),
      ...loadRows('Bun.serve + one prepared SELECT', runs.select),
      ...loadRows('/auth/me', runs.me),
      ratio(names.me, ratesOf(runs.me), ratesOf(runs.select)),
      ratio(names.meLatency, latencies(runs.me), latencies(runs.select)),
      ...costRows('Bun.serve + one prepared SELECT', runs.select),
      ...costRows('/auth/me', runs.me),
      ratio('/auth/me to one prepared SELECT, CPU per request', totalCosts(runs.me), totalCosts(runs.select)),
      ratio('/auth/me to a constant', ratesOf(runs.me), ratesOf(runs.constant)),
    )
  })
  return rows
}
