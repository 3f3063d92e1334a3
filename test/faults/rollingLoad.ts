import { Agent, request } from 'node:http'

interface Answer {
  readonly status: number
  readonly body: { readonly access_token?: string; readonly refresh_token?: string; readonly detail?: string }
}

export interface RollingLoad {
  /** Requests with the expected response. */
  readonly succeeded: () => number
  /** All others, as text. */
  readonly failures: readonly string[]
  stop(): Promise<void>
}

/**
 * Clients behind a proxy that call `/auth/me`, sign in, refresh and administer, each one request at
 * a time; and with `protectedUrls`, call services that the proxy protects.
 */
export async function startRollingLoad(
  url: string,
  password: string,
  protectedUrls: readonly string[] = [],
): Promise<RollingLoad> {
  const agent = new Agent({ keepAlive: true })
  const failures: string[] = []
  let succeeded = 0
  let isStopping = false

  async function ask(method: string, path: string, { form, json, token }: Sent = {}): Promise<Answer['body']> {
    const content = form ? new URLSearchParams(form).toString() : json === undefined ? undefined : JSON.stringify(json)
    const answer = await send(agent, path.startsWith('/') ? `${url}${path}` : path, {
      method,
      content,
      headers: {
        ...(content ? { 'content-type': form ? 'application/x-www-form-urlencoded' : 'application/json' } : {}),
        ...(token ? { authorization: `Bearer ${token}` } : {}),
      },
    }).catch((error) => ({ status: 0, body: { detail: String(error) } }))
    if (answer.status >= 200 && answer.status < 300) succeeded++
    else failures.push(`${method} ${path}: ${answer.status} ${answer.body.detail}`)
    return answer.body
  }
  const signIn = (scope = '') => ask('POST', '/auth/login', { form: { username: 'admin', password, scope } })

  const { access_token: token = '' } = await signIn()
  const asking = () => ask('GET', '/auth/me', { token })
  /** Must never be done twice, so Nginx never retries it. */
  const administering = () =>
    ask('POST', '/users', { token, json: { username: `u${crypto.randomUUID()}`, full_name: 'Somebody' } })
  const refreshing = () => {
    let refreshToken: string | undefined
    return async () => {
      refreshToken ??= (await signIn('offline_access')).refresh_token ?? ''
      const body = await ask('POST', '/auth/refresh', { form: { refresh_token: refreshToken } })
      refreshToken = body.refresh_token
    }
  }

  async function loop(story: () => Promise<unknown>): Promise<void> {
    while (!isStopping) {
      await story()
      await Bun.sleep(5)
    }
  }
  const visiting = protectedUrls.flatMap((path) => [
    () => ask('GET', path, { token }),
    () => ask('GET', path, { token }),
  ])
  const stories = [
    ...visiting,
    asking,
    asking,
    asking,
    asking,
    () => signIn(),
    () => signIn(),
    administering,
    administering,
  ]
  const running = [...stories, refreshing(), refreshing(), refreshing()].map(loop)
  return {
    succeeded: () => succeeded,
    failures,
    stop: async () => {
      isStopping = true
      await Promise.all(running)
      agent.destroy()
    },
  }
}

interface Sent {
  readonly form?: Record<string, string>
  readonly json?: unknown
  readonly token?: string
}

interface Message {
  readonly method: string
  readonly headers: Record<string, string>
  readonly content: string | undefined
}

/** Not fetch, which retries by itself when a connection breaks. */
function send(agent: Agent, url: string, { method, headers, content }: Message): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const sent = request(url, { method, agent, headers }, (response) => {
    let text = ''
    response.on('data', (chunk) => {
      text += chunk
    })
    response.on('error', reject)
    response.on('end', () => {
      try {
        resolve({ status: response.statusCode ?? 0, body: text ? JSON.parse(text) : {} })
      } catch (error) {
        reject(error)
      }
    })
  })
  sent.on('error', reject)
  sent.end(content)
  return promise
}
