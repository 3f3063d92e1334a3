import type { Server } from '../binary/binary.ts'
import { startMachineClock } from './machineClock.ts'

export const password = 'a long enough pass phrase'

interface Answer {
  readonly what: string
  readonly status: number
  readonly milliseconds: number
}

/** What the server acknowledged to clients. Checked once the database is back. */
interface Promised {
  /** Access tokens of sessions whose login returned 200. */
  readonly begun: string[]
  /** Access tokens of sessions whose logout returned 204. */
  readonly ended: string[]
}

export interface Load {
  /** Every response so far. A request without one has status 0. */
  readonly answers: Answer[]
  stop(): Promise<void>
  /** Throws unless every acknowledged change holds. */
  verify(): Promise<void>
  /** Milliseconds from now until a login, a refresh and `/auth/me` have succeeded. */
  untilHealthy(): Promise<number>
}

/** Milliseconds after which a client gives up. A response this late is a failure anyway. */
const patience = 20_000
/** Milliseconds in which a refresh may be retried. */
const retryWindow = 10_000

/**
 * Clients that sign in, sign out, refresh and call `/auth/me` one after the other until they are
 * stopped.
 */
export async function startLoad(server: Pick<Server, 'url'>): Promise<Load> {
  const { url } = server
  const clock = startMachineClock()
  const answers: Answer[] = []
  const promised: Promised = { begun: [], ended: [] }
  let isStopping = false

  async function ask(what: string, path: string, init: RequestInit = {}): Promise<{ status: number; body: Body }> {
    const started = clock.now()
    const response = await fetch(`${url}${path}`, { ...init, signal: AbortSignal.timeout(patience) }).catch(
      () => undefined,
    )
    const text = await response?.text().catch(() => undefined)
    const status = text === undefined ? 0 : (response?.status ?? 0)
    answers.push({ what, status, milliseconds: clock.now() - started })
    return { status, body: text ? JSON.parse(text) : {} }
  }
  const post = (what: string, path: string, fields: Record<string, string>) =>
    ask(what, path, { method: 'POST', body: new URLSearchParams(fields) })
  const signIn = (scope = '') => post('login', '/auth/login', { username: 'admin', password, scope })
  const bearer = (token = '') => ({ headers: { authorization: `Bearer ${token}` } })

  const first = await signIn('offline_access')
  if (first.status !== 200) throw new Error(`the first login was answered with ${first.status}`)

  async function loop(story: () => Promise<void>): Promise<void> {
    while (!isStopping) {
      await story()
      await Bun.sleep(5)
    }
  }

  async function signingIn(): Promise<void> {
    const { status, body } = await signIn()
    if (status === 200 && body.access_token) promised.begun.push(body.access_token)
  }

  async function signingOut(): Promise<void> {
    const { body } = await signIn()
    if (!body.access_token) return
    const { status } = await ask('logout', '/auth/logout', { method: 'POST', ...bearer(body.access_token) })
    if (status === 204) promised.ended.push(body.access_token)
  }

  async function asking(): Promise<void> {
    await ask('me', '/auth/me', bearer(first.body.access_token))
  }

  /** A client that presents its current token until it gets the next one. */
  function refreshing(): () => Promise<void> {
    let token = ''
    let shownSince = 0
    return async () => {
      token ||= (await signIn('offline_access')).body.refresh_token ?? ''
      if (token === '') return
      shownSince ||= performance.now()
      const { status, body } = await post('refresh', '/auth/refresh', { refresh_token: token })
      // Without a response, the client cannot know whether its token was rotated. After the retry
      // window,
      if (status === 400 && performance.now() - shownSince > retryWindow) {
        answers.pop()
        token = ''
      }
      if (status !== 503) shownSince = 0
      if (status === 200) token = body.refresh_token ?? ''
    }
  }

  const stories = [signingIn, signingIn, signingOut, signingOut, asking, asking, refreshing(), refreshing()]
  const running = stories.map(loop)

  return {
    answers,
    stop: async () => {
      isStopping = true
      await Promise.all(running)
      clock.stop()
    },
    verify: async () => {
      for (const [tokens, expected] of [
        [promised.begun, 200],
        [promised.ended, 401],
      ] as const) {
        for (const token of tokens) {
          const { status } = await ask('verify', '/auth/me', bearer(token))
          if (status !== expected) throw new Error(`a promise was broken: ${status} in place of ${expected}`)
        }
      }
    },
    untilHealthy: async () => {
      const began = clock.now()
      const tries = [
        async () => (await fetchStatus(`${url}/ready`)) === 200,
        async () => (await signIn()).status === 200,
        async () => (await ask('me', '/auth/me', bearer(first.body.access_token))).status === 200,
      ]
      for (const attempt of tries) while (!(await attempt()) && clock.now() - began < patience) await Bun.sleep(50)
      return clock.now() - began
    },
  }
}

interface Body {
  readonly access_token?: string
  readonly refresh_token?: string
}

async function fetchStatus(url: string): Promise<number> {
  return fetch(url, { signal: AbortSignal.timeout(patience) }).then(
    (response) => response.status,
    () => 0,
  )
}
