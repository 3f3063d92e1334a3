import { hashOf, type TestApplication } from '../application.ts'
import { good } from './accounts.ts'

export const minute = 60_000

export interface Origin {
  readonly address?: string
  readonly cookie?: string
  readonly headers?: Record<string, string>
}

/** Creates users of a test application, and signs in with right and wrong passwords. */
export function createSignIns(application: () => TestApplication) {
  let count = 0
  const newName = (prefix: string) => `${prefix}${++count}`
  const login = (username: string, password: string, { address = '192.0.2.7', cookie, headers = {} }: Origin = {}) =>
    application().call('/auth/login', {
      method: 'POST',
      body: new URLSearchParams({ username, password }),
      headers: { ...headers, ...(cookie === undefined ? {} : { cookie }) },
      address,
    })
  return {
    newName,
    login,
    makeUser: async (roles = ''): Promise<{ username: string; id: string }> => {
      const username = newName('User')
      const hash = await hashOf(good)
      const [row] = await application().sql(
        `INSERT INTO users (username, hashed_password, full_name, roles) VALUES ('${username}', '${hash}', 'U', '{${roles}}') RETURNING id`,
      )
      return { username, id: String(row?.id) }
    },
    /** Returns the statuses of so many sign-ins with a wrong password. */
    guess: async (username: string, guesses: number, origin?: Origin) => {
      const statuses: number[] = []
      for (let guess = 0; guess < guesses; guess++) statuses.push((await login(username, 'wrong', origin)).status)
      return statuses
    },
    /** Returns the seconds of `Retry-After`; 0 if the sign-in is not throttled. */
    waitOf: async (username: string, origin?: Origin) => {
      const response = await login(username, 'wrong', origin)
      return response.status === 429 ? Number(response.headers.get('retry-after')) : 0
    },
    deviceOf: (response: Response) => response.headers.get('set-cookie')?.split(';')[0] ?? '',
  }
}
