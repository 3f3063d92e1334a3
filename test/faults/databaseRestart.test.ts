import { afterAll, beforeAll, expect, test } from 'bun:test'
import { login, me, type Server, serve } from '../binary/binary.ts'
import { type PostgresqlServer, startServer } from '../postgresqlServer.ts'
import { password } from './load.ts'

const environment = {
  SECRET_KEY: 'k'.repeat(32),
  ADMIN_PASSWORD: password,
  PASSWORD_MEMORY_KIB: '8192',
  PASSWORD_TIME_COST: '1',
}

let postgresql: PostgresqlServer
let replicas: readonly Server[] = []

beforeAll(async () => {
  postgresql = await startServer()
  const DATABASE_URL = postgresql.url
  replicas = [
    await serve({ environment: { ...environment, DATABASE_URL } }),
    await serve({ environment: { ...environment, DATABASE_URL } }),
  ]
})

afterAll(async () => {
  for (const replica of replicas) await replica.stop()
  await postgresql?.stop()
})

async function signIn(replica: Server, username: string): Promise<string> {
  const response = await login(replica.url, username, password)
  expect(response.status).toBe(200)
  return ((await response.json()) as { access_token: string }).access_token
}

async function send(replica: Server, token: string, method: string, path: string, body: object): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  return fetch(`${replica.url}${path}`, { method, headers, body: JSON.stringify(body) })
}

test('a restart of PostgreSQL on the same timeline repeats no revocation', async () => {
  const [first, second] = replicas as [Server, Server]
  const admin = await signIn(first, 'admin')
  const ids: string[] = []
  for (const username of ['ada', 'grace']) {
    const draft = { username, full_name: username, password, must_change_password: false }
    ids.push(((await (await send(first, admin, 'POST', '/users', draft)).json()) as { id: string }).id)
  }
  const setActive = async (replica: Server, id: string | undefined, is_active: boolean) =>
    expect((await send(replica, admin, 'PATCH', `/users/${id}`, { is_active })).status).toBe(200)
  // Ada is enabled by the replica that disabled her, Grace by the other one.
  for (const id of ids) await setActive(first, id, false)
  await setActive(first, ids[0], true)
  await setActive(second, ids[1], true)
  await postgresql.halt('fast')
  await postgresql.restart()
  for (const replica of replicas) while ((await me(replica.url, admin)).status === 503) await Bun.sleep(20)
  for (const replica of replicas)
    for (const username of ['ada', 'grace'])
      expect((await me(replica.url, await signIn(replica, username))).status).toBe(200)
  for (const { output } of replicas) expect(output.stdout).not.toMatch(/"event":"database\.(changes_lost|failover)"/)
})
