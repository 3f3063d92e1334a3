import { until } from './processes.ts'

export interface Member {
  readonly name: string
  readonly role: string
  readonly state: string
  readonly timeline?: number
}

/** Patroni's REST API on the nodes of a cluster. Nodes have numbers from 1. */
export interface Patroni {
  /** The node that holds the lease, or undefined if there is none. */
  primary(): Promise<number | undefined>
  /** The node that is promoted next, or undefined if no standby is synchronous. */
  synchronousStandby(): Promise<number | undefined>
  members(): Promise<readonly Member[]>
  /** Resolves once there is a primary and every other node follows it. */
  untilHealthy(seconds?: number): Promise<void>
  /** Resolves with the node that has replaced a primary. */
  untilReplaced(primary: number, seconds?: number): Promise<number>
  /** Changes the configuration of all nodes. */
  configure(settings: Readonly<Record<string, unknown>>): Promise<void>
  switchover(): Promise<void>
}

export function openPatroni(addresses: readonly string[], isSynchronous: () => boolean): Patroni {
  const nodes = addresses.map((_, at) => at + 1)
  const call = (node: number, path: string, init: RequestInit = {}) =>
    fetch(`http://${addresses[node - 1]}:8008${path}`, {
      ...init,
      signal: AbortSignal.timeout(init.method ? 40_000 : 1000),
    })

  async function change(method: string, path: string, body: unknown): Promise<void> {
    const response = await call((await primary()) ?? 1, path, { method, body: JSON.stringify(body) })
    if (!response.ok) throw new Error(`Patroni: ${method} ${path}: ${response.status} ${await response.text()}`)
  }

  async function members(): Promise<readonly Member[]> {
    for (const node of nodes) {
      // The time limit covers the body too.
      const cluster = await call(node, '/cluster')
        .then((response) => (response.ok ? (response.json() as Promise<{ members: Member[] }>) : undefined))
        .catch(() => undefined)
      if (cluster) return cluster.members
    }
    return []
  }

  async function primary(): Promise<number | undefined> {
    const statuses = await Promise.all(nodes.map((node) => call(node, '/primary').catch(() => undefined)))
    const at = statuses.findIndex((response) => response?.status === 200)
    return at < 0 ? undefined : at + 1
  }

  async function isHealthy(): Promise<boolean> {
    const all = await members()
    const leader = all.find(({ role, state }) => role === 'leader' && state === 'running')
    if (!leader || all.length !== nodes.length || (await primary()) === undefined) return false
    const standbys = all.filter((member) => member !== leader)
    return (
      standbys.every(({ state, timeline }) => state === 'streaming' && timeline === leader.timeline) &&
      standbys.some(({ role }) => role === 'sync_standby') === isSynchronous()
    )
  }

  async function nameOf(role: string): Promise<string | undefined> {
    return (await members()).find((member) => member.role === role)?.name
  }

  return {
    primary,
    members,
    synchronousStandby: async () => Number((await nameOf('sync_standby'))?.replace('node', '')) || undefined,
    untilHealthy: (seconds = 120) => until('every node follows a primary', seconds, isHealthy),
    untilReplaced: async (before, seconds = 60) => {
      let now: number | undefined
      await until('another node is the primary', seconds, async () => {
        now = await primary()
        return now !== undefined && now !== before
      })
      return now ?? before
    },
    configure: (settings) => change('PATCH', '/config', settings),
    switchover: async () =>
      change('POST', '/switchover', { leader: await nameOf('leader'), candidate: await nameOf('sync_standby') }),
  }
}
