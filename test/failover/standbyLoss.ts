import postgres from 'postgres'
import { startCluster } from './cluster.ts'
import { createLedger, verifyUsers } from './ledger.ts'
import { createPeople, watch } from './people.ts'
import { until } from './processes.ts'
import { startReplicas } from './replicas.ts'
import { startWorkload } from './workload.ts'

/** What a replica may hold: DATABASE_POOL_SIZE, which is 4 by default, and two more. */
const connectionsPerReplica = 6

/**
 * The required synchronous standby is away, so that no commit is acknowledged. Reads go on, other
 * roles can connect, and writes work again as soon as it is back.
 */
export async function checkStandbyLoss(seconds: number): Promise<readonly string[]> {
  const cluster = await startCluster({ settings: { synchronous_mode: true, synchronous_mode_strict: true } })
  const replicas = await startReplicas([cluster.url(), cluster.url()])
  const problems: string[] = []
  try {
    const [ask] = replicas.asks
    if (!ask) throw new Error('there is no replica')
    const people = await createPeople(10, ask, replicas.admin)
    const ledger = createLedger()
    const workload = startWorkload(ledger, replicas.asks, replicas.admin)
    await Bun.sleep(3000)
    const standby = (await cluster.patroni.synchronousStandby()) ?? 2
    const watches = replicas.asks.map((one) =>
      watch(
        one,
        people.map(({ access }) => access),
      ),
    )
    const began = performance.now()
    const resume = cluster.freeze(standby, 'node')
    const most = { backends: 0, refused: 0 }
    const url = cluster.url({ role: 'postgres' })
    while (performance.now() < began + seconds * 1000) {
      const backends = await countBackends(url).catch(() => undefined)
      if (backends === undefined) most.refused++
      else most.backends = Math.max(most.backends, backends)
      await Bun.sleep(500)
    }
    const limit = connectionsPerReplica * replicas.asks.length
    const reads = watches.map((one) => one.statusesSince(began))
    for (const one of watches) await one.stop()
    resume()
    const back = performance.now()
    await cluster.patroni.untilHealthy()
    const healthy = performance.now()
    const acknowledged = () => Math.min(...workload.pauses.map(({ last }) => last))
    await until('both replicas acknowledge changes', 60, () => acknowledged() > back)
    const late = acknowledged() - healthy
    await workload.stop()
    await verifyUsers(ledger, replicas.asks, workload.users)
    console.log(
      `standbyLost: at most ${most.backends} backends (limit ${limit}), ${most.refused} refused connections of another role, reads ${JSON.stringify(reads)}, changes ${(late / 1000).toFixed(1)} s after the standby was back, ${ledger.checks} checks: ${ledger.lost.length} lost, ${ledger.wrong.length} wrong`,
    )
    if (most.backends > limit) problems.push(`${most.backends} backends, more than ${limit}`)
    if (most.refused > 0) problems.push(`another role could not connect ${most.refused} times`)
    if (reads.some((statuses) => Object.keys(statuses).some((status) => status !== '200')))
      problems.push(`reads did not go on: ${JSON.stringify(reads)}`)
    if (late > 2000) problems.push(`changes worked only ${late} ms after the standby was back`)
    problems.push(...ledger.lost, ...ledger.wrong)
  } finally {
    await replicas.stop()
    await cluster.stop()
  }
  return problems
}

/** Connects as another role, and returns how many backends AuditTrail's role has. */
async function countBackends(url: string): Promise<number> {
  const sql = postgres(url, { max: 1, connect_timeout: 2, onnotice: () => {} })
  try {
    const [row] = await sql`SELECT count(*)::int AS backends FROM pg_stat_activity WHERE usename = 'audittrail'`
    return row?.backends ?? 0
  } finally {
    await sql.end({ timeout: 1 })
  }
}
