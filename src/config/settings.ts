import { algorithms } from '../algorithms.ts'
import { parseSecretKey, parseSecretKeys } from '../secretKeys.ts'
import { logFormats, logLevels } from '../telemetry/log.ts'
import { parseDatabaseUrl } from './databaseUrl.ts'
import { parseHost, parseOptionalAddress } from './listenAddress.ts'
import { parseLoggedRequests } from './loggedRequests.ts'
import { parseNetworks } from './networks.ts'
import { parseOrigins } from './origins.ts'

/** One setting. `parse` throws an Error whose message says what the setting takes ("a whole number from 0 to 65535"). */
export interface Setting<T> {
  readonly env: string
  readonly doc: string
  /** As it would be written in the environment; undefined: unset, and the value is undefined. */
  readonly default: string | undefined
  readonly parse: (text: string) => T
  /** Never shown; may also be given as a file, in the variable of the same name with `_FILE` behind it. */
  readonly secret?: true
  /** An empty value means empty. Elsewhere it means unset, which is what compose files write for "not given". */
  readonly emptyMeans?: 'empty'
}

const required = <T>(setting: Setting<T> & { default: string }): Setting<T> => setting
const optional = <T>(setting: Omit<Setting<T>, 'default'>): Setting<T | undefined> => ({
  ...setting,
  default: undefined,
})

/** The one table of settings: help, `.env.example`, the reference page and the parsing all come from it. */
export const settings = {
  databaseUrl: optional({
    env: 'DATABASE_URL',
    doc: 'PostgreSQL to use, postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…; unset: the embedded database in DATA_DIR',
    parse: parseDatabaseUrl,
    secret: true,
  }),
  databasePoolSize: required({
    env: 'DATABASE_POOL_SIZE',
    doc: 'connections to PostgreSQL, 10 at most; few are faster than many',
    default: '4',
    parse: wholeNumber(1, 10),
  }),
  dataDir: required({
    env: 'DATA_DIR',
    doc: 'directory of the embedded database and of the secret key that is made when SECRET_KEY is unset',
    default: './data',
    parse: String,
  }),
  host: required({ env: 'HOST', doc: 'address to listen on', default: '0.0.0.0', parse: parseHost }),
  port: required({
    env: 'PORT',
    doc: 'port to listen on; 0 takes any free one',
    default: '8000',
    parse: wholeNumber(0, 65535),
  }),
  basePath: required({
    env: 'BASE_PATH',
    doc: 'path that all routes begin with, as a client sees it; empty where a proxy strips it',
    default: '/api',
    parse: parseBasePath,
    emptyMeans: 'empty',
  }),
  secretKey: optional({
    env: 'SECRET_KEY',
    doc: 'key that signs the tokens, at least 32 bytes (openssl rand -hex 32); unset: made once and kept in DATA_DIR/secret.key',
    parse: parseSecretKey,
    secret: true,
  }),
  secretKeyPrevious: optional({
    env: 'SECRET_KEY_PREVIOUS',
    doc: 'former (or coming) values of SECRET_KEY, comma or line break between: what they made is honoured, nothing new is made with them',
    parse: parseSecretKeys,
    secret: true,
  }),
  algorithm: required({
    env: 'ALGORITHM',
    doc: 'HS256 (signs with SECRET_KEY, publishes nothing), or EdDSA, ES256, RS256 (public keys at /.well-known/jwks.json)',
    default: 'HS256',
    parse: oneOf(algorithms),
  }),
  keyRotationDays: required({
    env: 'KEY_ROTATION_DAYS',
    doc: 'days after which a key of EdDSA, ES256 or RS256 is followed by the next one; 0: only by audittrail key rotate',
    default: '90',
    parse: wholeNumber(0, 3650),
  }),
  issuer: required({
    env: 'ISSUER',
    doc: 'the iss of tokens; better your public URL',
    default: 'audittrail',
    parse: parseClaim,
  }),
  audience: required({ env: 'AUDIENCE', doc: 'the aud of tokens', default: 'audittrail', parse: parseClaim }),
  accessTokenExpireMinutes: required({
    env: 'ACCESS_TOKEN_EXPIRE_MINUTES',
    doc: 'minutes that an access token is good for',
    default: '30',
    parse: wholeNumber(1, 1440),
  }),
  refreshTokenExpireDays: required({
    env: 'REFRESH_TOKEN_EXPIRE_DAYS',
    doc: 'days that a session with a refresh token lives at most',
    default: '30',
    parse: wholeNumber(1, 3650),
  }),
  sessionIdleDays: required({
    env: 'SESSION_IDLE_DAYS',
    doc: 'days without a refresh after which such a session ends',
    default: '14',
    parse: wholeNumber(1, 3650),
  }),
  adminUsername: required({
    env: 'ADMIN_USERNAME',
    doc: 'name of the administrator whom the first start makes; without effect afterwards',
    default: 'admin',
    parse: parseUsername,
  }),
  adminPassword: optional({
    env: 'ADMIN_PASSWORD',
    doc: 'password of that administrator; unset: changeme, which must be changed before it opens anything',
    parse: parseAdminPassword,
    secret: true,
  }),
  adminFullName: required({
    env: 'ADMIN_FULL_NAME',
    doc: 'full name of that administrator',
    default: 'Default Admin',
    parse: parseFullName,
  }),
  passwordMinLength: required({
    env: 'PASSWORD_MIN_LENGTH',
    doc: 'fewest characters of a new password',
    default: '12',
    parse: wholeNumber(8, 128),
  }),
  passwordMemoryKib: required({
    env: 'PASSWORD_MEMORY_KIB',
    doc: 'memory of one argon2id hash, in KiB',
    default: '65536',
    parse: wholeNumber(8192, 524288),
  }),
  passwordTimeCost: required({
    env: 'PASSWORD_TIME_COST',
    doc: 'passes of one argon2id hash',
    default: '2',
    parse: wholeNumber(1, 8),
  }),
  passwordConcurrency: required({
    env: 'PASSWORD_CONCURRENCY',
    doc: 'password hashes computed at once; auto: as many as there are cores, and fewer where memory is limited to less than twice what they take',
    default: 'auto',
    parse: parsePasswordConcurrency,
  }),
  trustedProxies: required({
    env: 'TRUSTED_PROXIES',
    doc: 'addresses or networks (10.0.0.0/8, comma between) of proxies whose X-Forwarded-For is believed',
    default: '',
    parse: parseNetworks,
    emptyMeans: 'empty',
  }),
  corsOrigins: required({
    env: 'CORS_ORIGINS',
    doc: 'origins (https://app.example.com, comma between) whose pages may call from a browser; none: those of the same origin alone',
    default: '',
    parse: parseOrigins,
    emptyMeans: 'empty',
  }),
  shutdownGraceSeconds: required({
    env: 'SHUTDOWN_GRACE_SECONDS',
    doc: 'seconds after SIGTERM in which /ready says 503 and requests are still taken, so that a load balancer turns away',
    default: '1',
    parse: wholeNumber(0, 300),
  }),
  docs: required({
    env: 'DOCS',
    doc: 'on or off: the docs page at /docs and the document at /openapi.json',
    default: 'on',
    parse: oneOf(['on', 'off']),
  }),
  logLevel: required({ env: 'LOG_LEVEL', doc: logLevels.join(', '), default: 'info', parse: oneOf(logLevels) }),
  logFormat: required({
    env: 'LOG_FORMAT',
    doc: 'json (a line per event) or pretty (for people, with a banner at start)',
    default: 'json',
    parse: oneOf(logFormats),
  }),
  logRequests: required({
    env: 'LOG_REQUESTS',
    doc: 'requests that get a line in the log: all; errors (answered with 500 or above); off; or a share of the others beside the errors, such as 0.01',
    default: 'all',
    parse: parseLoggedRequests,
  }),
  metrics: required({
    env: 'METRICS',
    doc: 'off, or a private address and a port (127.0.0.1:9464) at which GET /metrics answers Prometheus, without a password',
    default: 'off',
    parse: parseOptionalAddress,
  }),
} as const satisfies Record<string, Setting<unknown>>

function wholeNumber(from: number, to: number): (text: string) => number {
  return (text) => {
    if (!/^\d{1,9}$/.test(text) || Number(text) < from || Number(text) > to) {
      throw new Error(`a whole number from ${from} to ${to}`)
    }
    return Number(text)
  }
}

function parsePasswordConcurrency(text: string): number | 'auto' {
  if (/^(auto|[1-9]\d?|1\d\d|2[0-4]\d|25[0-6])$/.test(text)) return text === 'auto' ? text : Number(text)
  throw new Error('auto, or a whole number from 1 to 256')
}

function oneOf<const T extends string>(words: readonly T[]): (text: string) => T {
  return (text) => {
    const word = words.find((candidate) => candidate === text)
    if (word === undefined) throw new Error(`one of ${words.join(', ')}`)
    return word
  }
}

function parseBasePath(text: string): string {
  const path = text.replace(/\/$/, '')
  if (!/^(\/[A-Za-z0-9._~-]+)*$/.test(path) || /\/\.\.?(\/|$)/.test(path)) {
    throw new Error('a path such as /api, or nothing at all for the root')
  }
  return path
}

function parseClaim(text: string): string {
  if (!/^[\x21-\x7e]{1,255}$/.test(text)) throw new Error('1 to 255 printable ASCII characters without spaces')
  return text
}

function parseUsername(text: string): string {
  if (!/^[A-Za-z0-9._@+-]{1,50}$/.test(text)) throw new Error('1 to 50 of the characters A-Z a-z 0-9 . _ @ + -')
  return text
}

function parseAdminPassword(text: string): string {
  if (text.length > 1024 || !text.isWellFormed() || text.includes('\0')) throw new Error('up to 1,024 characters')
  return text
}

function parseFullName(text: string): string {
  if ([...text].length > 100 || !/^[^\p{Cc}]+$/u.test(text)) throw new Error('1 to 100 characters on one line')
  return text
}
