import { Agent, request } from 'node:http'

export interface Answer {
  /** 0 if there was no response within the time limit. */
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

export interface Sent {
  readonly form?: Readonly<Record<string, string>>
  readonly json?: unknown
  readonly token?: string
}

export type Ask = (method: string, path: string, sent?: Sent) => Promise<Answer>

const agent = new Agent({ keepAlive: true, maxSockets: 64 })
const timeLimit = 10_000

/**
 * A client of one replica. Not fetch, which retries by itself. Each request comes from another
 * address, so that throttling by network does not mix with the facts.
 */
export function openClient(url: string): Ask {
  return (method, path, { form, json, token } = {}) => {
    const content = form ? new URLSearchParams(form).toString() : json === undefined ? undefined : JSON.stringify(json)
    const headers = {
      'x-forwarded-for': randomAddress(),
      ...(content ? { 'content-type': form ? 'application/x-www-form-urlencoded' : 'application/json' } : {}),
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    }
    const { promise, resolve } = Promise.withResolvers<Answer>()
    const none = () => resolve({ status: 0, body: {} })
    const sent = request(`${url}${path}`, { method, agent, headers, timeout: timeLimit }, (response) => {
      let text = ''
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('error', none)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: parse(text) }))
    })
    sent.on('timeout', () => sent.destroy())
    sent.on('error', none)
    sent.end(content)
    return promise
  }
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text)
  } catch {
    return {}
  }
}

function randomAddress(): string {
  const part = () => Math.floor(Math.random() * 256)
  return `10.${part()}.${part()}.${part()}`
}

/** The outcome of a change is unknown: it may or may not have happened. */
export function isUnsure(status: number): boolean {
  return status === 0 || status === 502 || status === 503 || status === 504
}
