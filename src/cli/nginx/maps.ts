import { createHash } from 'node:crypto'
import { ambiguous, ambiguousExceptParameters, encoded } from './paths.ts'
import { webSocketPath } from './site.ts'

/** A variable that Nginx computes from another one. */
export interface ComputedVariable {
  /** With the dollar sign. */
  readonly name: string
  readonly map: string
}

export type Maps = ReturnType<typeof createMaps>

/**
 * Returns the variables of the configuration. Nginx shares them between all sites, and reserves
 * little room for them: so equal maps have equal names, and two different ones never do.
 */
export function createMaps(base: string, hasPages: boolean) {
  const escaped = base.replaceAll('.', '\\.')
  const path = `~^${escaped}/`
  const encodedPath = variable('raw', '$request_uri', { [encoded]: '1', default: '""' })
  return {
    requestId: variable('id', '$http_x_request_id', {
      '~^[A-Za-z0-9._-]{1,128}\\z': '$http_x_request_id',
      default: '$request_id',
    }),
    signIn: hasPages
      ? variable('limit', '"$request_method $uri"', {
          [`~^[^ ]+ ${escaped}/auth/(login|password)/?\\z`]: '$binary_remote_addr',
          [`~^POST ${escaped}/(auth/session|sign-in|account/password)/?\\z`]: '$binary_remote_addr',
          default: '""',
        })
      : variable('limit', '$uri', { [`${path}auth/(login|password)/?\\z`]: '$binary_remote_addr', default: '""' }),
    token: variable('token', '$uri', { [path]: '$http_authorization', default: '""' }),
    upgrade: variable('ws', '$uri', { [`~^${webSocketPath}`]: 'websocket', default: '""' }),
    connection: variable('conn', '$uri', { [`~^${webSocketPath}`]: 'upgrade', default: '""' }),
    encodedPath,
    ambiguousPath: variable('path', '$uri', { [ambiguous]: '1', default: encodedPath.name }),
    pathWithParameters: variable('param', '$uri', { [ambiguousExceptParameters]: '1', default: encodedPath.name }),
    hsts: variable('hsts', '$upstream_http_strict_transport_security', { '': '"max-age=31536000"', default: '""' }),
    ...problemVariables(),
  }
}

function problemVariables() {
  return {
    title: variable('title', '$status', {
      401: `"${problems[401].title}"`,
      403: `"${problems[403].title}"`,
      413: '"Content Too Large"',
      429: '"Too Many Requests"',
      502: '"Bad Gateway"',
      504: '"Gateway Timeout"',
      default: '"Service Unavailable"',
    }),
    detail: variable('text', '$status', {
      401: `"${problems[401].detail}"`,
      403: `"${problems[403].detail}"`,
      413: '"The request body is too large."',
      429: '"Too many requests from this address. Try again shortly."',
      default: '"The service is currently unavailable. Try again shortly."',
    }),
    retryAfter: variable('retry', '$status', { 401: '""', 403: '""', 413: '""', default: '2' }),
  }
}

/** The problems that Nginx itself returns for a request that AuditTrail denied. */
export const problems = {
  401: { title: 'Unauthorized', detail: 'Not signed in, or the session has ended.' },
  403: { title: 'Forbidden', detail: 'This requires another role, or the password must be changed first.' },
} as const

/** Makes names of at most 14 characters: Nginx has room for few longer ones. */
export function variable(word: string, source: string, values: Readonly<Record<string, string>>): ComputedVariable {
  // Else the status of an authentication subrequest would stay in force for the response.
  const prefix = source.includes('$status') ? '  volatile;\n' : ''
  const lines = Object.entries(values).map(([key, value]) => `  ${key === 'default' ? key : `"${key}"`} ${value};\n`)
  const body = `{\n${prefix}${lines.join('')}}\n`
  const hash = createHash('sha256').update(`${source} ${body}`).digest('hex').slice(0, 5)
  const name = `$at_${word}_${hash}`
  return { name, map: `map ${source} ${name} ${body}` }
}
