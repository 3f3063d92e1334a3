import type { TestApplication } from '../../application.ts'

/** A browser without JavaScript: keeps cookies, follows nothing, sends what browsers send. */
export interface Visitor {
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Response>
  post(
    path: string,
    fields: Readonly<Record<string, string>>,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Response>
  /** The Cookie header. */
  cookies(): string
}

const navigation = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }

export function createVisitor(application: TestApplication): Visitor {
  const jar = new Map<string, string>()
  const send = async (
    path: string,
    init: { method: string; headers: Record<string, string>; body?: URLSearchParams },
  ) => {
    const cookie = cookies()
    const headers = { host: 'localhost', ...navigation, ...(cookie === '' ? {} : { cookie }), ...init.headers }
    const response = await application.call(path, { ...init, headers })
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';')
      const [name = '', value = ''] = pair.split('=')
      if (/; Max-Age=0/i.test(line)) jar.delete(name)
      else if (name !== 'audittrail_device') jar.set(name, value)
    }
    return response
  }
  const cookies = () => [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
  return {
    cookies,
    get: (path, headers = {}) => send(path, { method: 'GET', headers: { 'sec-fetch-site': 'none', ...headers } }),
    post: (path, fields, headers = {}) =>
      send(path, {
        method: 'POST',
        headers: { 'sec-fetch-site': 'same-origin', ...headers },
        body: new URLSearchParams(fields),
      }),
  }
}
