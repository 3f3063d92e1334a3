import { expect } from 'bun:test'
import { hashOf, type TestApplication } from '../application.ts'
import { good } from './accounts.ts'

export interface ListedApiKey {
  readonly id: string
  readonly name: string
  readonly service_id: string
  readonly key: string
  readonly expires_at: string | null
  readonly last_used_at: string | null
}

/** Adds the administrators `boss` and `second`, and the user `ada`. */
export async function insertUsers({ sql }: TestApplication): Promise<void> {
  const hash = await hashOf(good)
  await sql(`INSERT INTO users (username, hashed_password, full_name, roles) VALUES
    ('boss', '${hash}', 'B', '{admin}'), ('second', '${hash}', 'S', '{admin}'), ('ada', '${hash}', 'A', '{staff}')`)
}

/** Sends requests with API keys, and manages them as the administrator `boss`. */
export function createApiKeyCalls(application: () => TestApplication) {
  const call = async (method: string, path: string, credential: string, body?: unknown) =>
    application().call(path, {
      method,
      headers: {
        ...(credential === '' ? {} : { authorization: `Bearer ${credential}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  const asBoss = async (method: string, path: string, body?: unknown) =>
    call(method, path, await application().accessToken('boss', good), body)
  const listed = async (): Promise<ListedApiKey[]> =>
    ((await (await asBoss('GET', '/api-keys?limit=100')).json()) as { items: ListedApiKey[] }).items
  return {
    call,
    asBoss,
    listed,
    make: async (draft: object): Promise<ListedApiKey> => {
      const response = await asBoss('POST', '/api-keys', draft)
      expect(response.status).toBe(201)
      return (await response.json()) as ListedApiKey
    },
    find: async (id: string) => (await listed()).find((apiKey) => apiKey.id === id),
    idOf: async (username: string) =>
      String((await application().sql(`SELECT id FROM users WHERE username = '${username}'`))[0]?.id),
  }
}
