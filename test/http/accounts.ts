import { hashOf, type TestApplication } from '../application.ts'

export const good = 'a long enough pass phrase'

export interface Grant {
  readonly access_token: string
  readonly refresh_token: string
  readonly expires_in: number
}

/** Creates users in the database of a test application, and sends requests on their behalf. */
export function createAccounts(application: () => TestApplication) {
  let count = 0
  const newName = (prefix: string) => `${prefix}${++count}`
  const form = (path: string, fields: Record<string, string>) =>
    application().call(path, { method: 'POST', body: new URLSearchParams(fields) })
  const json = (method: string, path: string, token: string, body?: unknown) =>
    application().call(path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  const grantOf = async (response: Response) => (await response.json()) as Grant
  const signIn = async (username: string, password = good) =>
    grantOf(await form('/auth/login', { username, password, scope: 'offline_access' }))

  /** The user is not quarantined. */
  async function makeUser(roles: readonly string[] = []): Promise<{ username: string; id: string }> {
    const username = newName('user')
    const hash = await hashOf(good)
    const [row] = await application().sql(`INSERT INTO users (username, hashed_password, full_name, roles)
      VALUES ('${username}', '${hash}', 'User', '{${roles.join(',')}}') RETURNING id`)
    return { username, id: String(row?.id) }
  }

  return {
    newName,
    form,
    json,
    grantOf,
    signIn,
    makeUser,
    refresh: (token: string) => form('/auth/refresh', { refresh_token: token }),
    statusOfMe: async (token: string) => (await application().me(token)).status,
    makeAdministrator: async () => {
      const user = await makeUser(['admin'])
      return { ...user, token: (await signIn(user.username)).access_token }
    },
  }
}
