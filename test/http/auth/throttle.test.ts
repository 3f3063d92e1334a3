import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { sweepExpiredFailures } from '../../../src/domain/sessions/sweep.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'

const good = 'a long enough pass phrase'
const minute = 60_000

describe.each(databaseKinds)('guessing on %s', (kind) => {
  let application: TestApplication
  let names = 0
  let hash: string
  beforeAll(async () => {
    application = await openTestApplication(kind, { trustedProxies: ['127.0.0.1'] })
    hash = await Bun.password.hash(good, { algorithm: 'argon2id', memoryCost: 8192, timeCost: 1 })
  })
  afterAll(() => application.close())
  beforeEach(async () => {
    await application.sql('DELETE FROM audittrail_attempts')
  })

  async function makeUser(roles = ''): Promise<{ username: string; id: string }> {
    const username = `User${++names}`
    const [row] = await application.sql(
      `INSERT INTO users (username, hashed_password, full_name, roles) VALUES ('${username}', '${hash}', 'U', '{${roles}}') RETURNING id`,
    )
    return { username, id: String(row?.id) }
  }

  interface From {
    readonly address?: string
    readonly cookie?: string
    readonly headers?: Record<string, string>
  }
  const login = (username: string, password: string, { address = '192.0.2.7', cookie, headers = {} }: From = {}) =>
    application.call('/auth/login', {
      method: 'POST',
      body: new URLSearchParams({ username, password }),
      headers: { ...headers, ...(cookie === undefined ? {} : { cookie }) },
      address,
    })
  const guess = async (username: string, count: number, from?: From) => {
    const statuses: number[] = []
    for (let number = 0; number < count; number++) statuses.push((await login(username, 'wrong', from)).status)
    return statuses
  }
  const waitOf = async (username: string, from?: From) => {
    const response = await login(username, 'wrong', from)
    return response.status === 429 ? Number(response.headers.get('retry-after')) : 0
  }
  const deviceOf = (response: Response) => response.headers.get('set-cookie')?.split(';')[0] ?? ''

  test.each(['an account that exists', 'a name that nobody has'])(
    'at %s is free five times, then waits that double, each answered at once',
    async (which) => {
      const username = which === 'a name that nobody has' ? `nobody${++names}` : (await makeUser()).username
      expect(await guess(username, 6)).toEqual([401, 401, 401, 401, 401, 401])
      for (const seconds of [1, 2, 4, 8, 16]) {
        expect(await waitOf(username)).toBe(seconds)
        application.clock.now += seconds * 1000 - 1
        expect(await waitOf(username)).toBe(1)
        application.clock.now += 1
        expect(await guess(username, 1)).toEqual([401])
      }
    },
  )

  test('waits no longer than a quarter of an hour, and is forgotten after one', async () => {
    const { username } = await makeUser()
    await application.sql('SELECT 1')
    await guess(username, 6)
    for (let round = 0; round < 10; round++) {
      const seconds = await waitOf(username)
      expect(seconds).toBeLessThanOrEqual(900)
      application.clock.now += seconds * 1000
      await guess(username, 1)
    }
    expect(await waitOf(username)).toBe(900)
    application.clock.now += 15 * minute
    expect(await guess(username, 6)).toEqual([401, 401, 401, 401, 401, 401])
  })

  test('a refusal with 429 has the problem form, the word for OAuth clients and costs no hash', async () => {
    const { username } = await makeUser()
    await guess(username, 6)
    const before = application.deps.hashQueue
    const response = await login(username, good)
    expect(response.status).toBe(429)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await response.json()).toMatchObject({
      type: 'urn:audittrail:problem:too_many_attempts',
      error: 'invalid_request',
    })
    expect(before.running).toBe(0)
    expect(application.lines.findLast(({ event }) => event === 'login.throttled')).toMatchObject({
      address: '192.0.2.7',
    })
  })

  test('is the same for each spelling of the name', async () => {
    const { username } = await makeUser()
    await guess(username.toLowerCase(), 3)
    await guess(username.toUpperCase(), 3)
    expect(await waitOf(username)).toBe(1)
  })

  test('from one network leaves the account to its owner on another', async () => {
    const { username } = await makeUser()
    await guess(username, 6)
    expect(await waitOf(username)).toBeGreaterThan(0)
    const owner = { address: '198.51.100.1' }
    expect((await login(username, 'a slip of the finger', owner)).status).toBe(401)
    expect((await login(username, good, owner)).status).toBe(200)
  })

  test('from many networks is stopped for all who are strangers', async () => {
    const { username } = await makeUser()
    for (let number = 1; number <= 6; number++)
      expect(await guess(username, 1, { address: `198.51.100.${number}` })).toEqual([401])
    expect(await waitOf(username, { address: '203.0.113.1' })).toBe(1)
    expect((await login(username, good, { address: '203.0.113.2' })).status).toBe(429)
    application.clock.now += 1000
    expect((await login(username, good, { address: '203.0.113.2' })).status).toBe(200)
  })

  test('from two networks for hours counts two, however slowly and with sweeping in between', async () => {
    const { username } = await makeUser()
    const owner = { address: '203.0.113.9' }
    for (let round = 0; round < 20; round++) {
      expect(await guess(username, 1, { address: `198.51.100.${1 + (round % 2)}` })).toEqual([401])
      application.clock.now += 9 * minute
      if (round % 3 === 0) await sweepExpiredFailures(application.deps, () => false)
      expect(await networksAt(username)).toBe(Math.min(round + 1, 2))
    }
    expect((await login(username, 'a slip of the finger', owner)).status).toBe(401)
    expect((await login(username, good, owner)).status).toBe(200)
    // And once nobody has failed there for a quarter of an hour, nothing is left of it.
    application.clock.now += 15 * minute
    await sweepExpiredFailures(application.deps, () => false)
    expect(await application.sql('SELECT key FROM audittrail_attempts')).toEqual([])
  })

  /** As the account itself counts them. */
  const networksAt = async (username: string) =>
    (
      await application.sql(
        `SELECT failures FROM audittrail_attempts WHERE kind = 'account' AND username = '${username}'`,
      )
    )[0]?.failures

  test('from a handful of networks costs each of them what the others did', async () => {
    const { username } = await makeUser()
    const statuses: number[] = []
    for (let round = 0; round < 6; round++)
      for (let number = 1; number <= 3; number++)
        statuses.push(...(await guess(username, 1, { address: `198.51.100.${number}` })))
    expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(12)
  })

  test('at many accounts from one network is free twenty times, and then waits', async () => {
    const users = await Promise.all(Array.from({ length: 22 }, () => makeUser()))
    for (const { username } of users.slice(0, 21)) expect(await guess(username, 1)).toEqual([401])
    expect(await waitOf(users[21]?.username ?? '')).toBe(1)
    expect((await login(users[21]?.username ?? '', good, { address: '198.51.100.1' })).status).toBe(200)
  })

  test('counts an IPv6 /64 as one network, and its neighbour as another', async () => {
    const users = await Promise.all(Array.from({ length: 22 }, () => makeUser()))
    for (const [index, { username }] of users.slice(0, 21).entries())
      await guess(username, 1, { address: `2001:db8:0:1::${index.toString(16)}` })
    const last = users[21]?.username ?? ''
    expect(await waitOf(last, { address: '2001:db8:0:1:ffff::1' })).toBe(1)
    expect(await guess(last, 1, { address: '2001:db8:0:2::1' })).toEqual([401])
  })

  test('by the word of an undeclared proxy counts by account alone', async () => {
    const via = (client: string) => ({ address: '10.0.0.1', headers: { 'x-forwarded-for': client } })
    for (let number = 0; number < 25; number++)
      expect(await guess(`nobody${++names}`, 1, via('203.0.113.9'))).toEqual([401])
    const { username } = await makeUser()
    await guess(username, 6, via('203.0.113.9'))
    expect(await waitOf(username, via('203.0.113.10'))).toBe(1)
  })

  test('behind a declared proxy counts the client', async () => {
    const via = (client: string) => ({ address: '127.0.0.1', headers: { 'x-forwarded-for': client } })
    const { username } = await makeUser()
    await guess(username, 6, via('203.0.113.9'))
    expect(await waitOf(username, via('203.0.113.9'))).toBe(1)
    expect((await login(username, good, via('203.0.113.10'))).status).toBe(200)
  })

  test('is forgotten where the right password comes', async () => {
    const { username } = await makeUser()
    await guess(username, 5)
    expect((await login(username, good)).status).toBe(200)
    expect(await guess(username, 6)).toEqual([401, 401, 401, 401, 401, 401])
  })

  test('is not made free by an account of one’s own', async () => {
    const own = await makeUser()
    for (let number = 0; number < 21; number++) {
      await guess(`nobody${++names}`, 1)
      if (number % 5 === 1) expect((await login(own.username, good)).status).toBe(200)
    }
    expect(await waitOf(`nobody${++names}`)).toBe(1)
  })

  test('at a disabled account with its right password counts like any other failure', async () => {
    const { username, id } = await makeUser()
    await application.sql(`UPDATE users SET is_active = false WHERE id = '${id}'`)
    for (let number = 0; number < 6; number++) expect((await login(username, good)).status).toBe(401)
    expect((await login(username, good)).status).toBe(429)
  })

  test('by fifty at once is counted exactly', async () => {
    const { username } = await makeUser()
    const statuses = (await Promise.all(Array.from({ length: 50 }, () => login(username, 'wrong')))).map(
      ({ status }) => status,
    )
    const refused = statuses.filter((status) => status === 401).length
    const [row] = await application.sql(`SELECT failures FROM audittrail_attempts WHERE kind = 'client'`)
    expect(row?.failures).toBe(refused)
    // One place more than the free ones may have been taken before the last one was counted.
    expect(refused).toBeLessThanOrEqual(7)
    expect(statuses.filter((status) => status === 429).length).toBe(50 - refused)
  })

  describe('a known device', () => {
    test('is known by a cookie that a right login sets, for the path of login alone', async () => {
      const { username } = await makeUser()
      const plain = (await login(username, good)).headers.get('set-cookie') ?? ''
      expect(plain).toMatch(
        /^audittrail_device=[\w.-]+; Max-Age=34560000; Path=\/api\/auth\/login; HttpOnly; SameSite=Strict$/,
      )
      const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-for': '203.0.113.9' }
      const secure = await login(username, good, { address: '127.0.0.1', headers })
      expect(secure.headers.get('set-cookie')).toEndWith('; SameSite=Strict; Secure')
      expect((await login(username, 'wrong')).headers.get('set-cookie')).toBeNull()
    })

    test('signs in while its account and its network are hammered', async () => {
      const { username } = await makeUser()
      const cookie = deviceOf(await login(username, good))
      for (let number = 0; number < 25; number++) {
        await guess(username, 1)
        await guess(`nobody${++names}`, 1)
        await guess(username, 1, { address: `198.51.100.${number}` })
      }
      expect((await login(username, good)).status).toBe(429)
      expect((await login(username, good, { cookie })).status).toBe(200)
      expect((await login(username, good, { cookie, address: '198.51.100.99' })).status).toBe(200)
    })

    test('has five failures of its own, and its failures are not those of strangers', async () => {
      const { username } = await makeUser()
      const cookie = deviceOf(await login(username, good))
      expect(await guess(username, 6, { cookie })).toEqual([401, 401, 401, 401, 401, 401])
      expect(await waitOf(username, { cookie })).toBe(1)
      expect((await login(username, good)).status).toBe(200)
      application.clock.now += 1000
      expect((await login(username, good, { cookie })).status).toBe(200)
      expect(await guess(username, 5, { cookie })).toEqual([401, 401, 401, 401, 401])
    })

    test('is known to each account that has signed in on it, and to no other', async () => {
      const [first, second, stranger] = [await makeUser(), await makeUser(), await makeUser()]
      const cookie = deviceOf(
        await login(second.username, good, { cookie: deviceOf(await login(first.username, good)) }),
      )
      for (const { username } of [first, second, stranger]) await guess(username, 6)
      expect((await login(first.username, good, { cookie })).status).toBe(200)
      expect((await login(second.username, good, { cookie })).status).toBe(200)
      expect((await login(stranger.username, good, { cookie })).status).toBe(429)
    })

    test('is not known by a cookie that we did not make', async () => {
      const { username } = await makeUser()
      const cookie = deviceOf(await login(username, good))
      const [device = '', mac = ''] = (cookie.split('=')[1] ?? '').split('.')
      await guess(username, 6)
      const flipped = (mac[0] === 'A' ? 'B' : 'A') + mac.slice(1)
      for (const forged of [
        `${device}.${flipped}`,
        `${'A'.repeat(22)}.${mac}`,
        device,
        '',
        `${device}.${mac}.`,
        'x'.repeat(8000),
        '{"a":1}',
        `${device}.${mac}${mac}`,
      ]) {
        const { status } = await login(username, good, { cookie: `audittrail_device=${forged}` })
        expect(status).toBe(429)
      }
      expect((await login(username, good, { cookie: `other=1; ${cookie}; last=2` })).status).toBe(200)
    })

    test('is authorised to nothing by its cookie', async () => {
      const { username } = await makeUser()
      const cookie = deviceOf(await login(username, good))
      for (const path of ['/auth/me', '/auth/sessions', '/users']) {
        expect((await application.call(path, { headers: { cookie } })).status).toBe(401)
      }
    })
  })

  describe('the current password', () => {
    test('is throttled for whoever is signed in, without touching the login', async () => {
      const { username } = await makeUser()
      const token = await application.accessToken(username, good)
      const change = (current_password: string) =>
        application.call('/auth/password', {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify({ current_password, new_password: 'another long pass phrase' }),
        })
      for (let number = 0; number < 6; number++) expect((await change('wrong')).status).toBe(422)
      const refused = await change(good)
      expect(refused.status).toBe(429)
      expect(refused.headers.get('retry-after')).toBe('1')
      expect((await login(username, good)).status).toBe(200)
      application.clock.now += 1000
      expect((await change(good)).status).toBe(204)
    })
  })

  describe('an administrator', () => {
    const call = (token: string, method: string, path: string) =>
      application.call(path, { method, headers: { authorization: `Bearer ${token}` } })
    async function administrator(): Promise<string> {
      const { username } = await makeUser('admin')
      return application.accessToken(username, good)
    }
    interface Page {
      items: { id: string; kind: string; username: string | null; network: string | null; blocked_until: string }[]
      next: string | null
    }
    const blocksOf = async (token: string, query = '') =>
      (await (await call(token, 'GET', `/blocks${query}`)).json()) as Page

    test('sees who has to wait and lifts it', async () => {
      const token = await administrator()
      const { username } = await makeUser()
      await guess(username, 6)
      application.clock.now += 10
      await guess('nobody-at-all', 6)
      const { items, next } = await blocksOf(token)
      expect(next).toBeNull()
      expect(items.map(({ kind, username, network }) => ({ kind, username, network }))).toEqual([
        { kind: 'client', username: null, network: '192.0.2.7' },
        { kind: 'client', username, network: '192.0.2.7' },
      ])
      expect((await login(username, good)).status).toBe(429)
      expect((await call(token, 'DELETE', `/blocks/${items[1]?.id}`)).status).toBe(204)
      expect((await login(username, good)).status).toBe(200)
      expect((await call(token, 'DELETE', `/blocks/${items[1]?.id}`)).status).toBe(404)
      expect(application.lines.findLast(({ event }) => event === 'block.lifted')).toMatchObject({
        block: items[1]?.id,
      })
      application.clock.now += 5000
      expect((await blocksOf(token)).items).toEqual([])
    })

    test.each(['by its id', 'with its network'])(
      'lifts a block %s, and nothing of it is counted afterwards',
      async (how) => {
        const { liftLockoutsOfNetwork: liftBlocksOfNetwork } = await import('../../../src/domain/signIn/lockouts.ts')
        const token = await administrator()
        const { username } = await makeUser()
        for (let round = 0; round < 6; round++) {
          expect(await guess(username, 6)).toEqual([401, 401, 401, 401, 401, 401])
          const [block] = (await blocksOf(token)).items
          if (how === 'by its id') expect((await call(token, 'DELETE', `/blocks/${block?.id}`)).status).toBe(204)
          else expect(await liftBlocksOfNetwork(application.deps, 'test', '192.0.2.7')).toBe(2)
          await application.sql(`DELETE FROM audittrail_attempts WHERE kind = 'network'`)
        }
        expect((await login(username, good, { address: '203.0.113.2' })).status).toBe(200)
      },
    )

    test('lifts all blocks of a user', async () => {
      const token = await administrator()
      const { username, id } = await makeUser()
      for (let number = 1; number <= 8; number++) await guess(username, 1, { address: `198.51.100.${number}` })
      expect((await login(username, good)).status).toBe(429)
      expect((await call(token, 'DELETE', `/users/${id}/blocks`)).status).toBe(204)
      expect((await login(username, good)).status).toBe(200)
      expect((await call(token, 'DELETE', `/users/${crypto.randomUUID()}/blocks`)).status).toBe(404)
    })

    test('turns the pages of a long list', async () => {
      const token = await administrator()
      for (let number = 0; number < 5; number++) {
        await guess(`nobody${++names}`, 6, { address: `198.51.100.${number}` })
        application.clock.now += 10
      }
      const seen: string[] = []
      for (let next: string | null = ''; next !== null; ) {
        const page: Page = await blocksOf(token, `?limit=2${next && `&after=${next}`}`)
        expect(page.items.length).toBeLessThanOrEqual(2)
        seen.push(...page.items.map(({ id }) => id))
        next = page.next
      }
      expect(new Set(seen).size).toBe(5)
      expect((await call(token, 'GET', '/blocks?after=%00')).status).toBe(400)
      const invented = ['2026-99-99T00:00:00.000Z x', `0000-01-01T00:00:00.000Z ${crypto.randomUUID()}`]
      for (const after of ['x', 'AA', 'AAAA', ...invented.map((text) => Buffer.from(text).toString('base64url'))])
        expect((await call(token, 'GET', `/blocks?after=${after}`)).status).toBe(422)
      expect((await call(token, 'GET', '/blocks?limit=1&limit=2')).status).toBe(400)
      expect((await call(token, 'GET', '/blocks')).headers.get('cache-control')).toBe('no-store')
    })

    test('alone may look', async () => {
      const { username } = await makeUser()
      const token = await application.accessToken(username, good)
      expect((await call(token, 'GET', '/blocks')).status).toBe(403)
      expect((await call(token, 'DELETE', `/blocks/${crypto.randomUUID()}`)).status).toBe(403)
    })
  })

  test('counted by a clock that was a day ahead keeps nobody waiting that long', async () => {
    const token = await application.accessToken((await makeUser('admin')).username, good)
    const users = await Promise.all(Array.from({ length: 16 }, () => makeUser()))
    application.clock.now += 24 * 60 * minute
    for (const { username } of users) await guess(username, 1)
    await guess(users[0]?.username ?? '', 6)
    expect(await waitOf(users[0]?.username ?? '')).toBeGreaterThan(0)
    application.clock.now -= 24 * 60 * minute
    const blocks = await application.call('/blocks', { headers: { authorization: `Bearer ${token}` } })
    expect(await blocks.json()).toEqual({ items: [], next: null })
    expect((await login(users[0]?.username ?? '', good)).status).toBe(200)
    // What fails now is counted by this clock, and forgotten by it.
    await guess(users[1]?.username ?? '', 1)
    application.clock.now += 15 * minute
    expect(await guess(users[1]?.username ?? '', 5)).toEqual([401, 401, 401, 401, 401])
    const rows =
      await application.sql(`SELECT max(forgotten_at) AS last FROM audittrail_attempts WHERE network IS NOT NULL
      AND key NOT LIKE 'client%'`)
    expect(new Date(String(rows[0]?.last)).getTime()).toBeLessThanOrEqual(application.clock.now + 15 * minute)
  })

  test('is swept when it is forgotten', async () => {
    const { sweepExpiredFailures: sweepForgottenFailures } = await import('../../../src/domain/sessions/sweep.ts')
    await guess(`nobody${++names}`, 2)
    expect(await sweepForgottenFailures(application.deps, () => false)).toBe(0)
    application.clock.now += 15 * minute
    expect(await sweepForgottenFailures(application.deps, () => false)).toBe(3)
  })

  test('keeps no name that was typed', async () => {
    await guess('my-secret-typed-as-a-name', 1)
    const rows = await application.sql('SELECT * FROM audittrail_attempts')
    expect(rows).toHaveLength(3)
    expect(JSON.stringify(rows)).not.toContain('my-secret')
    expect(JSON.stringify(application.lines)).not.toContain('my-secret')
  })
})
