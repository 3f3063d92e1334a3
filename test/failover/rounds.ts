import { type Cluster, startCluster } from './cluster.ts'
import { createLedger, type Ledger, verifySessions, verifyUsers } from './ledger.ts'
import { type Kind, kinds, type Options } from './options.ts'
import { type Replicas, startReplicas } from './replicas.ts'
import { startWorkload } from './workload.ts'

/** Seconds of writes before a failure, and after the recovery from it. */
const calmSeconds = 3

interface Round {
  readonly kind: Kind
  readonly pause: number
}

/**
 * Writes facts to the ledger while the primary fails, as often as the options say, and checks them
 * on both replicas after each round and once more at the end. Returns what did not hold.
 */
export async function checkLedger(options: Options): Promise<readonly string[]> {
  const cluster = await startCluster()
  const replicas = await startReplicas([cluster.url(), cluster.url()])
  const ledger = createLedger()
  try {
    const rounds: Round[] = []
    for (const kind of kinds)
      for (let round = 1; round <= options.rounds[kind]; round++) {
        rounds.push({ kind, pause: await runRound(cluster, replicas, ledger, { kind, round, ...options }) })
        console.log(`${kind} ${round}: ${rounds.at(-1)?.pause.toFixed(1)} s without a change; ${summaryOf(ledger)}`)
      }
    await cluster.patroni.untilHealthy()
    await replicas.untilReady()
    const sessions = ledger.users.flatMap((user) => user.sessions)
    await verifySessions(ledger, replicas.asks, sessions)
    for (const kind of kinds) {
      const pauses = rounds.filter((round) => round.kind === kind).map(({ pause }) => pause)
      if (pauses.length > 0) console.log(`${kind}: ${pauses.length} rounds, without a change for ${rangeOf(pauses)}`)
    }
    console.log(`ledger: ${summaryOf(ledger)}`)
  } finally {
    await replicas.stop()
    await cluster.stop()
  }
  return [...ledger.lost, ...ledger.wrong]
}

interface Failure extends Pick<Options, 'hangSeconds'> {
  readonly kind: Kind
  readonly round: number
}

/** Returns the longest time without an acknowledged change, over both replicas, in seconds. */
async function runRound(cluster: Cluster, replicas: Replicas, ledger: Ledger, failure: Failure): Promise<number> {
  await cluster.patroni.untilHealthy()
  await replicas.untilReady()
  const workload = startWorkload(ledger, replicas.asks, replicas.admin)
  await Bun.sleep(calmSeconds * 1000)
  const heal = await fail(cluster, failure)
  await replicas.untilReady()
  await Bun.sleep(calmSeconds * 1000)
  await workload.stop()
  await verifyUsers(ledger, replicas.asks, workload.users)
  heal()
  return Math.max(...workload.pauses.map(({ longest }) => longest)) / 1000
}

function rangeOf(seconds: readonly number[]): string {
  const sorted = [...seconds].sort((a, b) => a - b)
  const texts = [sorted[0], sorted.at(-1), sorted[Math.floor(sorted.length / 2)]].map((value = 0) => value.toFixed(1))
  return `${texts[0]} to ${texts[1]} s, median ${texts[2]} s`
}

/** Returns once another node is the primary. The result brings back what is still missing. */
async function fail(cluster: Cluster, { kind, round, hangSeconds }: Failure): Promise<() => void> {
  const { patroni } = cluster
  const before = (await patroni.primary()) ?? 1
  if (kind === 'switchover') await patroni.switchover()
  if (kind === 'kill') cluster.killPostgresql(before)
  if (kind === 'hostLoss') await cluster.lose(before)
  if (kind === 'hang') {
    // In turn the whole node and PostgreSQL alone, under a Patroni that works.
    const resume = cluster.freeze(before, round % 2 === 1 ? 'node' : 'postgresql')
    await Bun.sleep(hangSeconds * 1000)
    resume()
  }
  await patroni.untilReplaced(before)
  return () => {
    if (kind === 'hostLoss') cluster.restore(before)
  }
}

function summaryOf(ledger: Ledger): string {
  const facts = Object.entries(ledger.acknowledged).map(([fact, count]) => `${count} ${fact}`)
  const { unsure, checks, lost, wrong } = ledger
  return `${facts.join(', ')} acknowledged, ${unsure} unsure, ${checks} checks: ${lost.length} lost, ${wrong.length} wrong`
}
