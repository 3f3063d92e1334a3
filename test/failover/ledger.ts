import { type Answer, type Ask, isUnsure } from './client.ts'

/** `unsure`: a change had an unknown outcome, so either state is right. */
export type State = 'active' | 'ended' | 'unsure'

export interface Session {
  readonly access: string
  readonly user: User
  state: State
  /** The refresh token to present next, or undefined after a refresh with an unknown outcome. */
  refresh: string | undefined
  /** Refresh tokens that were presented, oldest first. */
  readonly used: string[]
}

export interface User {
  readonly id: string
  readonly name: string
  password: string
  /** Set by a change with an unknown outcome. */
  otherPassword: string | undefined
  readonly oldPasswords: string[]
  state: State
  readonly sessions: Session[]
}

export type Fact = 'user' | 'login' | 'refresh' | 'logout' | 'password' | 'disabled'

export interface Ledger {
  readonly users: User[]
  /** Acknowledged facts by kind, and changes with an unknown outcome. */
  readonly acknowledged: Record<Fact, number>
  unsure: number
  checks: number
  /** Responses that contradict an acknowledged fact or that no client may get, as text. */
  readonly wrong: string[]
  /** Acknowledged facts that did not hold when they were checked after the failure, as text. */
  readonly lost: string[]
}

export function createLedger(): Ledger {
  const acknowledged = { user: 0, login: 0, refresh: 0, logout: 0, password: 0, disabled: 0 }
  return { users: [], acknowledged, unsure: 0, checks: 0, wrong: [], lost: [] }
}

/** Returns whether `/auth/me` may return a status for a session in a state. */
export function permits(state: State, status: number): boolean {
  if (state === 'unsure') return status === 200 || status === 401
  return status === (state === 'active' ? 200 : 401)
}

export function endSessions(user: User, state: State, except?: Session): void {
  for (const session of user.sessions) if (session !== except && session.state !== 'ended') session.state = state
}

/** Repeats a request without side effects until its outcome is known. */
async function settled(ask: () => Promise<Answer>): Promise<Answer> {
  let answer = await ask()
  for (let attempt = 0; attempt < 20 && isUnsure(answer.status); attempt++) {
    await Bun.sleep(250)
    answer = await ask()
  }
  return answer
}

/** Checks what users and their sessions must be on each replica. Nothing else may use them. */
export async function verifyUsers(ledger: Ledger, replicas: readonly Ask[], users: readonly User[]): Promise<void> {
  await inParallel(8, users, async (user) => {
    await verifySessions(ledger, replicas, user.sessions)
    for (const ask of replicas) await verifyPasswords(ledger, ask, user)
    for (const session of user.sessions) await verifyRefresh(ledger, replicas, session)
  })
}

export async function verifySessions(ledger: Ledger, replicas: readonly Ask[], sessions: readonly Session[]) {
  await inParallel(8, sessions, async (session) => {
    const statuses: number[] = []
    for (const ask of replicas)
      statuses.push((await settled(() => ask('GET', '/auth/me', { token: session.access }))).status)
    ledger.checks += statuses.length
    const isConsistent = new Set(statuses).size === 1
    if (!isConsistent || !statuses.every((status) => permits(session.state, status)))
      ledger.lost.push(`a session of ${session.user.name} that is ${session.state}: ${statuses.join(' and ')}`)
  })
}

async function verifyPasswords(ledger: Ledger, ask: Ask, user: User): Promise<void> {
  const expected = (status: number) => (user.state === 'unsure' ? [200, 401] : [user.state === 'active' ? status : 401])
  const cases: (readonly [string, readonly number[]])[] = user.otherPassword
    ? [user.password, user.otherPassword].map(
        (password) => [password, user.state === 'ended' ? [401] : [200, 401]] as const,
      )
    : [[user.password, expected(200)]]
  const old = user.oldPasswords.at(-1)
  if (old) cases.push([old, [401]])
  for (const [password, allowed] of cases) {
    const { status } = await settled(() => ask('POST', '/auth/login', { form: { username: user.name, password } }))
    ledger.checks++
    if (!allowed.includes(status))
      ledger.lost.push(
        `${user.name}, who is ${user.state}, signs in with ${password}: ${status}, not ${allowed.join(' or ')}`,
      )
  }
}

/** The last refresh token works; one that was used up ends the session, on every replica. */
async function verifyRefresh(ledger: Ledger, replicas: readonly Ask[], session: Session): Promise<void> {
  const { refresh, user } = session
  if (!refresh || session.state !== 'active') return
  const [first, second] = Math.random() < 0.5 ? replicas : [...replicas].reverse()
  if (!first || !second) return
  const presentToken = (ask: Ask, token: string) =>
    settled(() => ask('POST', '/auth/refresh', { form: { refresh_token: token } }))
  const answer = await presentToken(first, refresh)
  ledger.checks++
  if (answer.status !== 200) {
    ledger.lost.push(`the last refresh token of ${user.name}, number ${session.used.length}: ${answer.status}`)
    return
  }
  session.used.push(refresh)
  session.refresh = String(answer.body.refresh_token)
  const replayed = session.used.at(-2)
  if (!replayed) return
  const replay = await presentToken(second, replayed)
  ledger.checks++
  if (replay.status !== 400) ledger.lost.push(`a used refresh token of ${user.name}: ${replay.status}`)
  session.state = 'ended'
  await verifySessions(ledger, replicas, [session])
}

async function inParallel<T>(width: number, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items]
  const next = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: width }, next))
}
