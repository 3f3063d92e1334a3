import { expect } from 'bun:test'
import { login, me } from '../binary/binary.ts'

export const password = 'a long enough pass phrase'
/** Low-cost hashes: these tests are about the database. */
export const settings = { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1', ADMIN_PASSWORD: password }

type State = 'active' | 'disabled' | 'deleted'
interface User {
  readonly id: string
  state: State
  password: string
}

/** Clients that remember every acknowledged change and check it after a failure of the server. */
export interface Workload {
  /** Works until the server is gone or reports that its database is unreachable. */
  run(url: string): Promise<void>
  /** Resolves once this many more changes are acknowledged. */
  proceed(changes: number): Promise<void>
  /** Fails unless every acknowledged change is there. */
  verify(url: string): Promise<void>
}

export function newWorkload(refreshers: number, signers = 0): Workload {
  const users = new Map<string, User>()
  const refreshTokens: (string | undefined)[] = []
  /** When each session last asked for a refresh. */
  const askedAt: number[] = []
  const livingTokens: string[] = []
  const endedTokens: string[] = []
  let made = 0
  let acknowledged = 0

  async function run(url: string): Promise<void> {
    const others = [
      ...Array.from({ length: refreshers }, (_, index) => refresh(url, index)),
      ...Array.from({ length: signers }, () => signInAgain(url)),
    ]
    await Promise.all([administrate(url), ...others])
  }

  async function proceed(changes: number): Promise<void> {
    const goal = acknowledged + changes
    for (const end = Date.now() + 30_000; acknowledged < goal; await Bun.sleep(2)) {
      if (Date.now() > end) throw new Error('the clients no longer get on')
    }
  }

  /**
   * Each change is recorded once acknowledged. A user whose change was in flight is no longer
   * checked.
   */
  async function administrate(url: string): Promise<void> {
    let touched = ''
    await untilAway(
      async () => {
        const token = await signIn(url, 'admin', password)
        livingTokens.push(token)
        for (;;) {
          const username = `user${made++}`
          touched = username
          const user = await change<User>(url, token, 'POST', '/users', {
            username,
            full_name: username,
            password,
            must_change_password: false,
          })
          users.set(username, { id: user.id, state: 'active', password })
          acknowledged++
          touched = pick(users)
          await alter(url, token, touched)
          acknowledged++
        }
      },
      () => users.delete(touched),
    )
  }

  async function alter(url: string, token: string, username: string): Promise<void> {
    const user = users.get(username)
    if (!user || user.state === 'deleted') return
    const [path, kind] = [`/users/${user.id}`, made % 5]
    if (kind === 0) {
      await change(url, token, 'PATCH', path, { is_active: false })
      user.state = 'disabled'
    } else if (kind === 1) {
      await change(url, token, 'DELETE', path)
      user.state = 'deleted'
    } else if (user.state === 'active') {
      const own = await signIn(url, username, user.password)
      if (kind === 2) {
        const next = `another long pass phrase ${made}`
        await change(url, own, 'POST', '/auth/password', { current_password: user.password, new_password: next })
        user.password = next
      } else if (kind === 3) {
        await change(url, own, 'POST', '/auth/logout')
        endedTokens.push(own)
      }
    }
  }

  async function refresh(url: string, index: number): Promise<void> {
    await untilAway(async () => {
      let token = refreshTokens[index] ?? (await obtain(url, { username: 'admin', password, scope: 'offline_access' }))
      for (;;) {
        refreshTokens[index] = token
        askedAt[index] = Date.now()
        token = await obtain(url, { grant_type: 'refresh_token', refresh_token: token })
        acknowledged++
      }
    })
  }

  async function signInAgain(url: string): Promise<void> {
    await untilAway(async () => {
      for (;;) {
        livingTokens.push(await signIn(url, 'admin', password))
        acknowledged++
      }
    })
  }

  async function verify(url: string): Promise<void> {
    await goOn(url)
    const token = await signIn(url, 'admin', password)
    const found = new Map<string, boolean>()
    for (let after: string | null = ''; after !== null; ) {
      const page: { items: { username: string; is_active: boolean }[]; next: string | null } = await change(
        url,
        token,
        'GET',
        `/users?limit=100${after && `&after=${encodeURIComponent(after)}`}`,
      )
      for (const { username, is_active } of page.items) found.set(username, is_active)
      after = page.next
    }
    for (const [username, { state }] of users) {
      expect([username, found.get(username)]).toEqual([
        username,
        { active: true, disabled: false, deleted: undefined }[state],
      ])
    }
    // Only users who may sign in: a rejected login counts as a failure.
    for (const [username, user] of [...users].slice(-4)) {
      if (user.state === 'active') await signIn(url, username, user.password)
    }
    expect(await statusesOf(url, livingTokens)).toEqual(livingTokens.map(() => 200))
    expect(await statusesOf(url, endedTokens)).toEqual(endedTokens.map(() => 401))
  }

  /**
   * Continues with the latest token: the current one, or the parent of one whose response was lost.
   */
  async function goOn(url: string): Promise<void> {
    for (const [index, token] of refreshTokens.entries()) {
      if (token === undefined) continue
      const next = obtain(url, { grant_type: 'refresh_token', refresh_token: token })
      refreshTokens[index] = await next.catch((error) => {
        // A lost response may be retried for ten seconds, which a slow machine may have needed to
        // start.
        if (Date.now() - (askedAt[index] ?? 0) > 9000 && String(error).includes('invalid_grant')) return undefined
        throw error
      })
    }
  }

  return { run, proceed, verify }
}

/** The server reports that its database is unreachable. */
const away = new Error('away')

async function untilAway(work: () => Promise<never>, leave: () => void = () => {}): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (error !== away && !isCut(error)) throw error
    leave()
  }
}

/** The connection was refused or was cut mid-response. */
function isCut(error: unknown): boolean {
  const { code = '', name } = error as { code?: string; name?: string }
  return /^(ECONN|ConnectionRefused|ConnectionClosed|EPIPE)/.test(code) || name === 'SyntaxError'
}

async function change<T>(url: string, token: string, method: string, path: string, body?: object): Promise<T> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  return accepted<T>(response)
}

async function obtain(url: string, fields: Record<string, string>): Promise<string> {
  const response = await fetch(`${url}/auth/login`, { method: 'POST', body: new URLSearchParams(fields) })
  return (await accepted<{ refresh_token: string }>(response)).refresh_token
}

async function signIn(url: string, username: string, secret: string): Promise<string> {
  return (await accepted<{ access_token: string }>(await login(url, username, secret))).access_token
}

async function accepted<T>(response: Response): Promise<T> {
  if (response.status === 503) throw away
  const text = await response.text()
  if (!response.ok) throw new Error(`${response.status} ${text}`)
  return (text === '' ? undefined : JSON.parse(text)) as T
}

function statusesOf(url: string, tokens: readonly string[]): Promise<number[]> {
  return Promise.all(tokens.map(async (token) => (await me(url, token)).status))
}

function pick(users: ReadonlyMap<string, unknown>): string {
  const names = [...users.keys()]
  return names[Math.floor(Math.random() * Math.min(8, names.length)) + Math.max(0, names.length - 8)] ?? ''
}
