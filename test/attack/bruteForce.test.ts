import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { accessToken, login, me, run, type Server, serve } from '../binary/binary.ts'
import { createDatabase } from '../postgresql.ts'

const good = 'a long enough pass phrase'
const secretKey = 'k'.repeat(32)

/** A login from the given address, as seen through a trusted proxy. */
function attempt(url: string, username: string, password: string, address: string): Promise<Response> {
  return fetch(`${url}/auth/login`, {
    method: 'POST',
    body: new URLSearchParams({ username, password }),
    headers: { 'x-forwarded-for': address },
  })
}

let addresses = 0
/** Returns an address without failures. */
function freshAddress(): string {
  const number = ++addresses
  return `198.${18 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`
}

describe('brute force against two replicas of the compiled binary', () => {
  let environment: Record<string, string>
  let replicas: Server[]
  const urlOf = (index: number) => replicas[index % 2]?.url ?? ''
  beforeAll(async () => {
    environment = {
      DATABASE_URL: await createDatabase(),
      SECRET_KEY: secretKey,
      TRUSTED_PROXIES: '127.0.0.1',
      PASSWORD_MEMORY_KIB: '8192',
      PASSWORD_TIME_COST: '1',
      PASSWORD_CONCURRENCY: '2',
    }
    replicas = [await serve({ environment }), await serve({ environment })]
    for (const name of ['ada', 'bob', 'eve'])
      expect((await run(['user', 'add', name], { environment, input: good })).code).toBe(0)
  })
  afterAll(() => Promise.all(replicas.map((replica) => replica.stop())))

  test('200 concurrent attempts stop after a handful, on either replica', async () => {
    const address = freshAddress()
    const statuses = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => (await attempt(urlOf(index), 'ada', 'wrong', address)).status),
    )
    const refused = statuses.filter((status) => status === 401).length
    // Six, plus those that already had one of four hash slots while the sixth was counted.
    expect(refused).toBeLessThanOrEqual(10)
    expect(refused).toBeGreaterThanOrEqual(6)
    expect(statuses.filter((status) => status === 429).length).toBe(200 - refused)
    expect((await attempt(urlOf(0), 'ada', good, freshAddress())).status).toBe(200)
  })

  test('thousands of combining marks do not slow down other users', async () => {
    const password = `${'\u0300'.repeat(16_000)}${'\u0316'.repeat(16_000)}`
    const guess = () => {
      // Multipart, where a mark takes two bytes.
      const body = new FormData()
      body.set('username', 'somebody')
      body.set('password', password)
      const headers = { 'x-forwarded-for': freshAddress() }
      return fetch(`${urlOf(0)}/auth/login`, { method: 'POST', body, headers })
    }
    const guesses = Array.from({ length: 8 }, guess)
    expect((await fetch(`${urlOf(0)}/health`)).status).toBe(200)
    for (const guess of guesses) expect([401, 429]).toContain((await guess).status)
  })

  test('both replicas share their counts, and one command lifts the lockout on both', async () => {
    const address = freshAddress()
    for (let index = 0; index < 6; index++)
      expect((await attempt(urlOf(index), 'bob', 'wrong', address)).status).toBe(401)
    // The first lockout lasts only a second, too short for a slow machine.
    const sql = postgres(environment.DATABASE_URL ?? '', { max: 1 })
    const longer = await sql`UPDATE audittrail_attempts SET failures = 12
      WHERE kind = 'client' AND username = 'bob' AND failures = 6 RETURNING key`
    expect(longer).toHaveLength(1)
    await sql.end()
    for (const index of [0, 1]) {
      const refused = await attempt(urlOf(index), 'bob', good, address)
      expect(refused.status).toBe(429)
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    }
    expect((await run(['block', 'list'], { environment })).stdout).toContain('bob')
    expect(await run(['block', 'lift', 'Bob'], { environment })).toMatchObject({
      code: 0,
      stdout: 'Blocks lifted: 2.\n',
    })
    expect((await attempt(urlOf(1), 'bob', good, address)).status).toBe(200)
    expect(await run(['block', 'lift', 'nobody-here'], { environment })).toMatchObject({ code: 1 })
  })

  test('the owner signs in on the other replica with a device cookie during the attack', async () => {
    const cookie = (await attempt(urlOf(0), 'eve', good, freshAddress())).headers.get('set-cookie')?.split(';')[0] ?? ''
    for (let index = 0; index < 9; index++) await attempt(urlOf(index), 'eve', 'wrong', freshAddress())
    const body = () => new URLSearchParams({ username: 'eve', password: good })
    const ask = (headers: Record<string, string>) =>
      fetch(`${urlOf(1)}/auth/login`, { method: 'POST', body: body(), headers })
    expect((await ask({ 'x-forwarded-for': freshAddress() })).status).toBe(429)
    expect((await ask({ 'x-forwarded-for': freshAddress(), cookie })).status).toBe(200)
  })
})

describe('user enumeration', () => {
  let server: Server
  let client: postgres.Sql
  beforeAll(async () => {
    const url = await createDatabase()
    server = await serve({
      environment: { DATABASE_URL: url, SECRET_KEY: secretKey, TRUSTED_PROXIES: '127.0.0.1', ADMIN_PASSWORD: good },
    })
    client = postgres(url, { max: 1, onnotice: () => {} })
    const today = await Bun.password.hash(good, { algorithm: 'argon2id', memoryCost: 65_536, timeCost: 2 })
    const cheap = await Bun.password.hash(good, { algorithm: 'argon2id', memoryCost: 19_456, timeCost: 2 })
    for (const [name, hash] of [
      ['today', today],
      ['cheap', cheap],
      ['disabled', today],
    ] as const)
      await client`INSERT INTO users (username, hashed_password, full_name, is_active)
        VALUES (${name}, ${hash}, 'User', ${name !== 'disabled'})`
  })
  afterAll(async () => {
    await client.end()
    await server.stop()
  })

  /** The response without its per-request parts. */
  async function answerOf(response: Response) {
    const { request_id: _id, ...problem } = (await response.json()) as Record<string, unknown>
    const headers = [...response.headers].filter(([name]) => !['x-request-id', 'date'].includes(name))
    return { status: response.status, headers, problem }
  }

  test('an unknown user, a wrong password and a disabled user get identical responses', async () => {
    const answers = [
      await answerOf(await attempt(server.url, 'nobody', 'wrong', freshAddress())),
      await answerOf(await attempt(server.url, 'today', 'wrong', freshAddress())),
      await answerOf(await attempt(server.url, 'disabled', 'wrong', freshAddress())),
      await answerOf(await attempt(server.url, 'disabled', good, freshAddress())),
      await answerOf(await attempt(server.url, 'cheap', 'wrong', freshAddress())),
    ]
    for (const answer of answers) expect(answer).toEqual(answers[0] as (typeof answers)[number])
  })
})

describe('a flood of logins', () => {
  test('200 concurrent logins return a token or 503 with Retry-After, and signed-in users are served', async () => {
    const environment = { SECRET_KEY: secretKey, ADMIN_PASSWORD: good, DATABASE_URL: await createDatabase() }
    const server = await serve({ environment })
    const token = await accessToken(server.url, 'admin', good)
    const storm = Promise.all(Array.from({ length: 200 }, () => login(server.url, 'admin', good)))
    for (let count = 0; count < 20; count++) expect((await me(server.url, token)).status).toBe(200)
    const answers = await storm
    for (const answer of answers) {
      if (answer.status === 200) continue
      expect(answer.status).toBe(503)
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    }
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(0)
    expect((await login(server.url, 'admin', good)).status).toBe(200)
    await server.stop()
  })

  test('more logins than slots and queue hold are rejected at once, without hashing', async () => {
    const environment = {
      SECRET_KEY: secretKey,
      ADMIN_PASSWORD: good,
      DATABASE_URL: await createDatabase(),
      PASSWORD_CONCURRENCY: '1',
      PASSWORD_MEMORY_KIB: '19456',
    }
    const server = await serve({ environment })
    const answers = await Promise.all(Array.from({ length: 400 }, () => login(server.url, 'admin', good)))
    const refused = answers.filter(({ status }) => status === 503)
    // 101 fit. Some of the rest arrive after a slot was freed.
    expect(refused.length).toBeGreaterThan(100)
    expect(refused.length).toBeLessThanOrEqual(299)
    expect(await refused[0]?.json()).toMatchObject({ type: 'urn:audittrail:problem:overloaded' })
    await server.stop()
  })

  test('clients that disconnect give up their place in the queue', async () => {
    const environment = {
      SECRET_KEY: secretKey,
      ADMIN_PASSWORD: good,
      DATABASE_URL: await createDatabase(),
      PASSWORD_CONCURRENCY: '1',
      PASSWORD_MEMORY_KIB: '65536',
    }
    const server = await serve({ environment })
    const gone = new AbortController()
    const body = new URLSearchParams({ username: 'admin', password: good })
    const leaving = Array.from({ length: 100 }, () =>
      fetch(`${server.url}/auth/login`, { method: 'POST', body, signal: gone.signal }).catch(() => undefined),
    )
    // At least one response has arrived, so the others are queued.
    await Promise.race(leaving)
    gone.abort()
    await Promise.all(leaving)
    expect((await login(server.url, 'admin', good)).status).toBe(200)
    const served = server.output.stdout.split('\n').filter((line) => line.includes('"login.succeeded"')).length
    // Of the 100 that left, only those already started ran, so the last login did not wait for
    // them.
    expect(served).toBeLessThan(60)
    await server.stop()
  })
})
