import { startCluster } from './cluster.ts'
import { createPeople, must, type Person, watch } from './people.ts'
import { until } from './processes.ts'
import { type Replicas, startReplicas } from './replicas.ts'

/** Milliseconds within which a replica ends the sessions again once it reaches the new primary. */
const timeLimit = 2000

/**
 * The primary is lost while an asynchronous standby is behind. Ended sessions stay ended, although
 * the new primary never received their end, and the loss is logged.
 */
export async function checkAsynchronousLoss(): Promise<readonly string[]> {
  const cluster = await startCluster({ settings: { synchronous_mode: false } })
  const replicas = await startReplicas([cluster.url(), cluster.url()])
  const problems: string[] = []
  try {
    const [first = replicas.asks[0], second = first] = replicas.asks
    if (!first || !second) throw new Error('there are no replicas')
    const people = await createPeople(40, first, replicas.admin)
    // The standby receives all of this, and nothing that follows.
    await Bun.sleep(2000)
    const before = (await cluster.patroni.primary()) ?? 1
    cluster.freeze(before, 'walSender')
    await endSessions(people, replicas)
    const [lost] = await createPeople(1, first, replicas.admin)
    await cluster.lose(before)
    const watches = replicas.asks.map((ask) =>
      watch(
        ask,
        people.map(({ access }) => access),
      ),
    )
    await cluster.patroni.untilReplaced(before)
    const reached = await Promise.all(replicas.asks.map((_, at) => untilReady(replicas, at)))
    await Bun.sleep(timeLimit + 5000)
    for (const [at, one] of watches.entries()) {
      await one.stop()
      const limit = Math.max(...reached) + timeLimit
      const accepted = one.acceptedSince(limit)
      console.log(
        `asynchronous: replica ${at + 1}: ${one.acceptedSince(0)} acceptances of ended sessions, ${accepted} of them too late`,
      )
      if (accepted > 0)
        problems.push(`replica ${at + 1} accepted ended sessions ${accepted} times after ${timeLimit} ms`)
    }
    for (const { name, refresh } of people) {
      const { status } = await first('POST', '/auth/refresh', { form: { refresh_token: refresh } })
      if (status !== 400) problems.push(`the refresh token of an ended session of ${name} returned ${status}`)
    }
    const { status } = await second('GET', '/auth/me', { token: lost?.access ?? '' })
    if (status !== 401)
      problems.push(`no change was lost, so this checked nothing: the token of the last sign-in returns ${status}`)
    if (!/"event":"database\.[a-z_]*lost"/.test(replicas.log()))
      problems.push('no replica logged that changes were lost')
  } finally {
    await replicas.stop()
    await cluster.stop()
  }
  return problems
}

/** Ends each session on one of the replicas, in five ways. */
async function endSessions(people: readonly Person[], { asks, admin }: Replicas): Promise<void> {
  for (const [at, { id, access, refresh, password }] of people.entries()) {
    const ask = asks[at % 2] ?? asks[0]
    if (!ask) return
    const way = Math.floor(at / 2) % 5
    if (way === 0) await must(204, () => ask('POST', '/auth/logout', { token: access }))
    if (way === 1) await must(204, () => ask('DELETE', `/users/${id}/sessions`, { token: admin }))
    if (way === 2) await must(200, () => ask('POST', '/auth/revoke', { form: { token: refresh } }))
    if (way === 3) await must(200, () => ask('PATCH', `/users/${id}`, { token: admin, json: { is_active: false } }))
    if (way === 4)
      await must(200, () => ask('POST', `/users/${id}/password`, { token: admin, json: { password: `${password}!` } }))
  }
}

/** Resolves with the time at which a replica was ready. */
async function untilReady(replicas: Replicas, at: number): Promise<number> {
  await until(`replica ${at + 1} is ready`, 60, async () => (await replicas.ready())[at] === 200)
  return performance.now()
}
