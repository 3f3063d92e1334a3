import { type Server, serve } from '../binary/binary.ts'
import { type Ask, openClient } from './client.ts'
import { until } from './processes.ts'

export interface Replicas {
  readonly asks: readonly Ask[]
  /** An administrator's access token. */
  readonly admin: string
  /** The status of `/ready` on each replica. */
  ready(): Promise<number[]>
  /** Resolves once every replica is ready. */
  untilReady(seconds?: number): Promise<void>
  /** The log of every replica so far. */
  log(): string
  stop(): Promise<void>
}

const password = 'a long enough pass phrase'

/** Two AuditTrail servers, each with a database URL of its own. */
export async function startReplicas(urls: readonly string[]): Promise<Replicas> {
  const servers: Server[] = []
  for (const url of urls) servers.push(await serve({ environment: environmentFor(url) }))
  const asks = servers.map(({ url }) => openClient(url))
  const [first] = asks
  const answer = await first?.('POST', '/auth/login', { form: { username: 'admin', password } })
  if (answer?.status !== 200) throw new Error(`the first login returned ${answer?.status}`)
  const ready = () => Promise.all(asks.map(async (ask) => (await ask('GET', '/ready')).status))
  return {
    asks,
    admin: String(answer.body.access_token),
    ready,
    untilReady: (seconds = 60) =>
      until('both replicas are ready', seconds, async () => (await ready()).every((status) => status === 200)),
    log: () => servers.map(({ output }) => output.stdout).join(''),
    stop: async () => {
      for (const server of servers) await server.stop('SIGKILL')
    },
  }
}

function environmentFor(url: string): Record<string, string> {
  return {
    DATABASE_URL: url,
    SECRET_KEY: 'k'.repeat(32),
    ADMIN_PASSWORD: password,
    PASSWORD_MEMORY_KIB: '8192',
    PASSWORD_TIME_COST: '1',
    ACCESS_TOKEN_EXPIRE_MINUTES: '1440',
    TRUSTED_PROXIES: '127.0.0.0/8',
    LOG_REQUESTS: 'errors',
  }
}
