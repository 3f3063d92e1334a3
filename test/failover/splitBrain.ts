import { type Cluster, startCluster } from './cluster.ts'
import { openGate } from './gate.ts'
import { createPeople, must, watch } from './people.ts'
import { until } from './processes.ts'
import { type Replicas, startReplicas } from './replicas.ts'

/** Milliseconds within which a replica leaves an old primary. */
const timeLimit = 2000
/** Seconds for which two primaries run. */
const splitSeconds = 15

/**
 * Patroni on the primary hangs, while its PostgreSQL continues as an old primary. Both replicas can
 * reach it. The first replica can also reach the new primary. The second can reach only a standby
 * of the new primary, which shows that its own primary is an old one.
 */
export async function checkSplitBrain(): Promise<readonly string[]> {
  const cluster = await startCluster({ databases: 3 })
  const { patroni } = cluster
  const old = (await patroni.primary()) ?? 1
  const next = (await patroni.synchronousStandby()) ?? 2
  const gates = await Promise.all(cluster.addresses.map((address) => openGate(address, 5432)))
  const hosts = cluster.addresses.map((address) => `${address}:5432`)
  // The old primary comes first: a client that takes the first host would stay there.
  const order = [old, ...[1, 2, 3].filter((node) => node !== old)].map((node) => node - 1)
  const urls = [hosts, gates.map(({ address }) => address)].map((all) =>
    cluster.url({ hosts: order.map((at) => all[at] ?? '') }),
  )
  const problems: string[] = []
  let replicas: Replicas | undefined
  let administration: Replicas | undefined
  const resume: (() => void)[] = []
  try {
    replicas = await startReplicas(urls)
    // Administrators use a third replica, behind the proxy.
    administration = await startReplicas([cluster.url()])
    const [ask] = administration.asks
    if (!ask) throw new Error('there is no replica')
    const people = await createPeople(20, ask, administration.admin)
    const watches = replicas.asks.map((one) =>
      watch(
        one,
        people.map(({ access }) => access),
      ),
    )
    gates[next - 1]?.shut()
    resume.push(cluster.freeze(old, 'patroni'))
    await patroni.untilReplaced(old)
    await untilFollowed(cluster, old, next)
    await administration.untilReady()
    const { admin } = administration
    for (const [at, { id, access }] of people.entries())
      if (at % 2 === 0)
        await must(200, () => ask('PATCH', `/users/${id}`, { token: admin, json: { is_active: false } }))
      else await must(204, () => ask('POST', '/auth/logout', { token: access }))
    const limit = performance.now() + timeLimit
    await Bun.sleep(timeLimit)
    const ready: number[][] = []
    for (let second = 0; second < splitSeconds; second++) {
      ready.push(await replicas.ready())
      await Bun.sleep(1000)
    }
    for (const [at, one] of watches.entries()) {
      await one.stop()
      const statuses = JSON.stringify(one.statusesSince(limit))
      const probes = ready.map((all) => all[at])
      console.log(
        `splitBrain: replica ${at + 1}: responses after ${timeLimit} ms ${statuses}, /ready ${probes.join(' ')}`,
      )
      if (one.acceptedSince(limit) > 0) problems.push(`replica ${at + 1} accepted ended sessions: ${statuses}`)
      const expected = at === 0 ? 200 : 503
      if (probes.some((status) => status !== expected))
        problems.push(`/ready of replica ${at + 1} was not always ${expected}: ${probes.join(' ')}`)
    }
  } finally {
    for (const go of resume) go()
    await replicas?.stop()
    await administration?.stop()
    for (const gate of gates) gate.stop()
    await cluster.stop()
  }
  return problems
}

/** Waits until the third node follows the new primary, and so is on the higher timeline. */
async function untilFollowed({ patroni }: Cluster, old: number, next: number): Promise<void> {
  const third = [1, 2, 3].find((node) => node !== old && node !== next)
  await until('the third node follows the new primary', 60, async () => {
    const members = await patroni.members()
    const leader = members.find(({ role }) => role === 'leader')
    const follower = members.find(({ name }) => name === `node${third}`)
    return follower?.state === 'streaming' && follower.timeline === leader?.timeline
  })
}
