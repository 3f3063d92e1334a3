import { claimsOf } from '../replica.ts'

/** Sends a request to the API at `url`, and returns its status and body. */
export interface Sent {
  readonly method?: string
  readonly path: string
  readonly credential?: string
  readonly form?: Readonly<Record<string, string>>
  readonly json?: object
}

export interface Received {
  readonly status: number
  readonly body: Body
}

interface Body {
  readonly id?: string
  readonly key?: string
  readonly access_token?: string
  readonly refresh_token?: string
  readonly active?: boolean
  readonly roles?: readonly string[]
  readonly detail?: string
}

export async function send(url: string, { method = 'GET', path, credential, form, json }: Sent): Promise<Received> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(credential ? { authorization: `Bearer ${credential}` } : {}),
      ...(json ? { 'content-type': 'application/json' } : {}),
    },
    ...(form ? { body: new URLSearchParams(form) } : {}),
    ...(json ? { body: JSON.stringify(json) } : {}),
  })
  const text = await response.text()
  return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : {} }
}

/** As `send`, but throws unless the status is a success. */
export async function expectSuccess(url: string, sent: Sent): Promise<Body> {
  const { status, body } = await send(url, sent)
  if (status >= 200 && status < 300) return body
  throw failureOf(sent, status, body)
}

/** Returns whether an error is that of a request with 503. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof Error && error.cause === 503
}

export function failureOf({ method = 'GET', path }: Sent, status: number, { detail }: Body): Error {
  return new Error(`${method} ${path} returned ${status}: ${detail}`, { cause: status })
}

export interface Session {
  readonly id: string
  readonly accessToken: string
  readonly refreshToken: string
}

export async function signIn(url: string, username: string, password: string): Promise<Session> {
  const form = { username, password, scope: 'offline_access' }
  const { access_token: accessToken = '', refresh_token: refreshToken = '' } = await expectSuccess(url, {
    method: 'POST',
    path: '/auth/login',
    form,
  })
  return { id: String(claimsOf(accessToken).sid), accessToken, refreshToken }
}
