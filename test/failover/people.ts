import type { Answer, Ask } from './client.ts'

/** A user with a session, for the scenarios. */
export interface Person {
  readonly id: string
  readonly name: string
  readonly password: string
  readonly access: string
  readonly refresh: string
}

/** Creates users and signs each of them in. Throws if any of that is not acknowledged. */
export async function createPeople(count: number, ask: Ask, admin: string): Promise<Person[]> {
  const people: Person[] = []
  for (let at = 0; at < count; at++) {
    const name = `u${crypto.randomUUID()}`
    const password = `pass phrase ${name}`
    const json = { username: name, full_name: 'Scenario', password, must_change_password: false }
    const user = await must(201, () => ask('POST', '/users', { token: admin, json }))
    const form = { username: name, password, scope: 'offline_access' }
    const session = await must(200, () => ask('POST', '/auth/login', { form }))
    const { access_token: access, refresh_token: refresh } = session
    people.push({ id: String(user.id), name, password, access: String(access), refresh: String(refresh) })
  }
  return people
}

/** Returns the body of a response. Throws unless it has a status. */
export async function must(expected: number, ask: () => Promise<Answer>): Promise<Answer['body']> {
  const { status, body } = await ask()
  if (status !== expected) throw new Error(`${status}, not ${expected}: ${body.detail ?? ''}`)
  return body
}

export interface Watch {
  /** Responses 200 since a time of `performance.now()`. */
  acceptedSince(time: number): number
  /** All other responses since then, by status. */
  statusesSince(time: number): Readonly<Record<number, number>>
  stop(): Promise<void>
}

/** Presents access tokens to a replica all the time, ten a time. */
export function watch(ask: Ask, tokens: readonly string[]): Watch {
  const seen: { readonly time: number; readonly status: number }[] = []
  let isStopping = false
  const run = async (offset: number) => {
    for (let at = offset; !isStopping; at += 4) {
      const token = tokens[at % tokens.length] ?? ''
      // The time of the request: what was sent before a limit may be answered after it.
      const time = performance.now()
      const { status } = await ask('GET', '/auth/me', { token })
      seen.push({ time, status })
      await Bun.sleep(20)
    }
  }
  const running = [0, 1, 2, 3].map(run)
  const since = (from: number) => seen.filter(({ time }) => time >= from).map(({ status }) => status)
  return {
    acceptedSince: (time) => since(time).filter((status) => status === 200).length,
    statusesSince: (time) => {
      const groups = Map.groupBy(since(time), (status) => status)
      return Object.fromEntries([...groups].map(([status, all]) => [status, all.length]))
    },
    stop: async () => {
      isStopping = true
      await Promise.all(running)
    },
  }
}
