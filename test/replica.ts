import type { Algorithm } from '../src/algorithms.ts'
import type { Clock } from '../src/clock.ts'
import { createAuditKeys } from '../src/domain/audit/auditKeys.ts'
import { createRecorder } from '../src/domain/audit/recorder.ts'
import type { Deps } from '../src/domain/deps.ts'
import { createHttp, type Http } from '../src/http/server.ts'
import type { SecretKeys } from '../src/secretKeys.ts'
import { createLog } from '../src/telemetry/log.ts'
import type { TestApplication } from './application.ts'

/** Another process on the database of an application, with its own keys and memory. */
export interface Replica {
  readonly deps: Deps
  readonly http: Http
  readonly lines: Record<string, unknown>[]
  accessToken(): Promise<string>
  /** Returns the status of `/auth/me`. */
  me(token: string): Promise<number>
  jwks(): Promise<{ readonly keys: readonly Record<string, string>[] }>
}

export interface ReplicaSettings {
  readonly secretKeys?: SecretKeys
  readonly algorithm?: Algorithm
  readonly rotationDays?: number
  readonly accessTokenSeconds?: number
  readonly clock?: Clock
}

export function openReplica(application: TestApplication, replica: ReplicaSettings = {}): Replica {
  const { database, settings } = application.deps
  const clock = replica.clock ?? application.deps.clock
  const secretKeys = replica.secretKeys ?? settings.keys.secretKeys()
  const lines: Record<string, unknown>[] = []
  const log = createLog({ level: 'debug', format: 'json', now: clock, write: (line) => lines.push(JSON.parse(line)) })
  const keys = {
    algorithm: replica.algorithm ?? settings.keys.algorithm,
    rotationDays: replica.rotationDays ?? settings.keys.rotationDays,
    secretKeys: () => secretKeys,
  }
  const accessTokenSeconds = replica.accessTokenSeconds ?? settings.accessTokenSeconds
  const deps: Deps = {
    ...application.deps,
    database,
    clock,
    log,
    audit: createRecorder(createAuditKeys(keys.secretKeys, 'audittrail/test'), clock, clock),
    settings: { ...settings, accessTokenSeconds, keys },
  }
  const http = createHttp(
    deps,
    {
      issuer: 'audittrail',
      audience: 'audittrail',
      basePath: '/api',
      trustedProxies: [],
      corsOrigins: [],
      docs: undefined,
    },
    clock,
  )
  const call = (path: string, init?: RequestInit) =>
    http.handle(new Request(`http://localhost/api${path}`, init), '192.0.2.7')
  return {
    deps,
    http,
    lines,
    accessToken: async () => {
      const body = new URLSearchParams({ username: 'admin', password: 'changeme' })
      const response = await call('/auth/login', { method: 'POST', body })
      if (response.status !== 200) throw new Error(`login returned ${response.status}`)
      return ((await response.json()) as { access_token: string }).access_token
    },
    me: async (token) => (await call('/auth/me', { headers: { authorization: `Bearer ${token}` } })).status,
    jwks: async () => (await call('/.well-known/jwks.json')).json() as never,
  }
}

export function headerOf(token: string): { alg: string; typ: string; kid?: string } {
  return JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())
}

export function claimsOf(token: string): Record<string, unknown> & { readonly exp: number } {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
}
