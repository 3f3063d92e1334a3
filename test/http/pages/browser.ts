import { openTestApplication, type TestApplication } from '../../application.ts'

/** The password of the administrator. */
export const password = 'a long enough pass phrase'

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

/** Opens an application whose administrator has changed the default password. */
export async function openApplicationWithPassword(): Promise<TestApplication> {
  const application = await openTestApplication('PostgreSQL')
  const visitor = createVisitor(application)
  await visitor.post('/sign-in', { username: 'admin', password: 'changeme' })
  await visitor.post('/account/password', { current_password: 'changeme', new_password: password })
  return application
}

/** Returns a visitor who has signed in as the administrator. */
export async function signInVisitor(application: TestApplication): Promise<Visitor> {
  const visitor = createVisitor(application)
  const { status } = await visitor.post('/sign-in', { username: 'admin', password })
  if (status !== 303) throw new Error(`The sign-in page returned ${status} for the right password`)
  return visitor
}

/** Returns where a response redirects to, or its status. */
export function locationOf(response: Response): string | null {
  return response.status === 303 ? response.headers.get('location') : `status ${response.status}`
}
