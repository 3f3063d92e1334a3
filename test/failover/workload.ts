import { type Answer, type Ask, isUnsure } from './client.ts'
import { endSessions, type Fact, type Ledger, permits, type Session, type User } from './ledger.ts'

export interface Workload {
  /** The users of this round. */
  readonly users: readonly User[]
  /**
   * When each replica last acknowledged a change, and its longest pause so far, in milliseconds.
   */
  readonly pauses: readonly { last: number; longest: number }[]
  stop(): Promise<void>
}

interface Client {
  readonly users: User[]
  /** An administrator's access token. */
  readonly admin: string
  /** Sends to a random replica. */
  ask(...args: Parameters<Ask>): Promise<Answer>
}

const clients = 6
/** Milliseconds between two requests of a client. */
const pace = 25

/** Six clients that write facts to the ledger, each to either replica, until they are stopped. */
export function startWorkload(ledger: Ledger, replicas: readonly Ask[], admin: string): Workload {
  let isStopping = false
  const pauses = replicas.map(() => ({ last: performance.now(), longest: 0 }))
  const users: User[] = []

  async function run(): Promise<void> {
    const client: Client = {
      users: [],
      admin,
      ask: async (method, path, sent) => {
        const at = Math.floor(Math.random() * replicas.length)
        const answer = await (replicas[at] as Ask)(method, path, sent)
        const pause = pauses[at]
        if (pause && method !== 'GET' && answer.status >= 200 && answer.status < 300) {
          const now = performance.now()
          pause.longest = Math.max(pause.longest, now - pause.last)
          pause.last = now
        }
        return answer
      },
    }
    while (!isStopping) {
      const user = pick(client.users)
      if (!user || Math.random() < 0.04) {
        const created = await createUser(ledger, client)
        if (created) {
          client.users.push(created)
          users.push(created)
        }
      } else await act(ledger, client, user)
      await Bun.sleep(pace)
    }
  }
  const running = Array.from({ length: clients }, run)
  return {
    users,
    pauses,
    stop: async () => {
      isStopping = true
      await Promise.all(running)
      ledger.users.push(...users)
    },
  }
}

async function act(ledger: Ledger, client: Client, user: User): Promise<void> {
  const session = pick(user.sessions)
  const chance = Math.random()
  if (session && chance < 0.4) return check(ledger, client, session)
  if (user.state !== 'active') return
  if (chance < 0.6 || !session) return signIn(ledger, client, user)
  if (session.state !== 'active') return
  if (chance < 0.8) return refresh(ledger, client, session)
  if (chance < 0.93) return signOut(ledger, client, session)
  if (chance < 0.97) return changePassword(ledger, client, session)
  return disable(ledger, client, user)
}

/** Counts a change. Returns whether it was acknowledged, which `success` says by its status. */
function record(ledger: Ledger, fact: Fact, { status, body }: Answer, success: number): boolean {
  if (status === success) ledger.acknowledged[fact]++
  else if (isUnsure(status)) ledger.unsure++
  else ledger.wrong.push(`${fact}: ${status} ${body.detail ?? ''}`)
  return status === success
}

async function createUser(ledger: Ledger, { ask, admin }: Client): Promise<User | undefined> {
  const name = `u${crypto.randomUUID()}`
  const password = newPassword()
  const json = { username: name, full_name: 'Ledger', password, must_change_password: false }
  const answer = await ask('POST', '/users', { token: admin, json })
  if (!record(ledger, 'user', answer, 201)) return undefined
  const id = String(answer.body.id)
  return { id, name, password, otherPassword: undefined, oldPasswords: [], state: 'active', sessions: [] }
}

async function signIn(ledger: Ledger, { ask }: Client, user: User): Promise<void> {
  if (user.otherPassword) return
  const form = { username: user.name, password: user.password, scope: 'offline_access' }
  const answer = await ask('POST', '/auth/login', { form })
  if (!record(ledger, 'login', answer, 200)) return
  const { access_token: access, refresh_token: token } = answer.body
  user.sessions.push({ access: String(access), user, state: 'active', refresh: String(token), used: [] })
}

async function refresh(ledger: Ledger, { ask }: Client, session: Session): Promise<void> {
  const token = session.refresh
  if (!token) return
  const answer = await ask('POST', '/auth/refresh', { form: { refresh_token: token } })
  const isDone = record(ledger, 'refresh', answer, 200)
  session.refresh = isDone ? String(answer.body.refresh_token) : undefined
  if (isDone) session.used.push(token)
}

async function signOut(ledger: Ledger, { ask }: Client, session: Session): Promise<void> {
  const answer = await ask('POST', '/auth/logout', { token: session.access })
  session.state = record(ledger, 'logout', answer, 204) ? 'ended' : 'unsure'
}

async function changePassword(ledger: Ledger, { ask }: Client, session: Session): Promise<void> {
  const { user } = session
  if (user.otherPassword) return
  const password = newPassword()
  const json = { current_password: user.password, new_password: password }
  const answer = await ask('POST', '/auth/password', { token: session.access, json })
  const isDone = record(ledger, 'password', answer, 204)
  endSessions(user, isDone ? 'ended' : 'unsure', session)
  if (!isDone) {
    user.otherPassword = password
    return
  }
  user.oldPasswords.push(user.password)
  user.password = password
}

async function disable(ledger: Ledger, { ask, admin }: Client, user: User): Promise<void> {
  const answer = await ask('PATCH', `/users/${user.id}`, { token: admin, json: { is_active: false } })
  user.state = record(ledger, 'disabled', answer, 200) ? 'ended' : 'unsure'
  endSessions(user, user.state)
}

/** Reads while the ledger is being written: no response may contradict it. */
async function check(ledger: Ledger, { ask }: Client, session: Session): Promise<void> {
  const { status } = await ask('GET', '/auth/me', { token: session.access })
  ledger.checks++
  if (!isUnsure(status) && !permits(session.state, status))
    ledger.wrong.push(`a session that is ${session.state}: ${status}`)
}

function pick<T>(items: readonly T[]): T | undefined {
  return items[Math.floor(Math.random() * items.length)]
}

function newPassword(): string {
  return `pass phrase ${crypto.randomUUID()}`
}
