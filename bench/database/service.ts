import postgres from 'postgres'
import { startServer } from '../../test/postgresqlServer.ts'
import { post } from '../load/requests.ts'
import { binary, type Started, start } from '../machine/process.ts'
import { password, settingsFor } from '../options.ts'
import { fill, hashPassword } from './fill.ts'
import { signTokens } from './tokens.ts'

const users = 10_000

/** The binary on a PostgreSQL server of its own, with fsync, 10,000 users and 20,000 sessions. */
export interface Service extends Started {
  readonly databaseUrl: string
  /** The process id of PostgreSQL. */
  readonly databaseId: number
  readonly client: postgres.Sql
  /** The password hash of every user. */
  readonly hash: string
  /** Access tokens of fifty random sessions. */
  readonly tokens: readonly string[]
  /** Raw login requests of 200 users. */
  readonly logins: readonly string[]
  /** Starts another process on the same database. */
  startAnother(): Promise<Started>
}

export async function withService(work: (service: Service) => Promise<void>, file = binary): Promise<void> {
  const server = await startServer([])
  const client = postgres(server.url, { max: 1, onnotice: () => {} })
  const startAnother = () => start({ file, path: '/api/ready', environment: settingsFor(server.url) })
  try {
    const started = await startAnother()
    const hash = await hashPassword()
    await fill(client, users, hash)
    const { access_token: template = '' } = await signIn(started.port, 'admin')
    const tokens = await signTokens(client, template, 50)
    const logins = Array.from({ length: 200 }, (_, index) =>
      post('/api/auth/login', { username: `user${index}`, password }),
    )
    const service = {
      ...started,
      databaseUrl: server.url,
      databaseId: server.processId(),
      client,
      hash,
      tokens,
      logins,
      startAnother,
    }
    await work(service).finally(() => started.stop())
  } finally {
    await client.end()
    await server.stop()
  }
}

interface Tokens {
  readonly access_token?: string
  readonly refresh_token?: string
}

export async function signIn(port: number, username: string, scope = ''): Promise<Tokens> {
  const body = new URLSearchParams({ username, password, scope })
  const response = await fetch(`http://127.0.0.1:${port}/api/auth/login`, { method: 'POST', body })
  if (response.status !== 200) throw new Error(`The login of ${username} returned ${response.status}.`)
  return (await response.json()) as Tokens
}

/** Creates an API key as the administrator and returns its text. */
export async function createApiKey(port: number, draft: object): Promise<string> {
  const { access_token: token } = await signIn(port, 'admin')
  const response = await fetch(`http://127.0.0.1:${port}/api/api-keys`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(draft),
  })
  if (response.status !== 201) throw new Error(`Creating an API key returned ${response.status}.`)
  return ((await response.json()) as { key: string }).key
}

/** Signs in as browsers do, and returns the `Cookie` header of each user. */
export async function signInBrowsers(port: number, count: number): Promise<readonly string[]> {
  const origin = `http://127.0.0.1:${port}`
  const cookies: string[] = []
  for (let index = 0; index < count; index++) {
    const response = await fetch(`${origin}/api/auth/session`, {
      method: 'POST',
      headers: { origin, 'content-type': 'application/json' },
      body: JSON.stringify({ username: `user${index}`, password }),
    })
    const [, cookie] = /^(audittrail=[^;]+)/m.exec(response.headers.getSetCookie().join('\n')) ?? []
    if (!cookie) throw new Error(`Signing in as user${index} by cookie returned ${response.status}.`)
    cookies.push(cookie)
  }
  return cookies
}
