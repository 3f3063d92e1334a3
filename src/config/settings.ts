import { algorithms } from '../algorithms.ts'
import { parseSecretKey, parseSecretKeys } from '../secretKeys.ts'
import { logFormats, logLevels } from '../telemetry/log.ts'
import { parseDatabaseUrl } from './databaseUrl.ts'
import { parseHost, parseOptionalAddress } from './listenAddress.ts'
import { parseLoggedRequests } from './loggedRequests.ts'
import { parseNetworks } from './networks.ts'
import { parseOrigins, parseWebOrigins } from './origins.ts'
import {
  oneOf,
  optional,
  parseAdminPassword,
  parseBasePath,
  parseClaim,
  parseDirectory,
  parseFullName,
  parsePageTitle,
  parsePasswordConcurrency,
  parseSwitch,
  parseUsername,
  required,
  type Setting,
  wholeNumber,
} from './parsers.ts'
import { auditLogSettings } from './settings/auditLog.ts'

/** What other programs call the levels, the silent one included. */
const logLevelSynonyms = { trace: 'debug', warning: 'warn', critical: 'error', fatal: 'error', off: 'silent' } as const

/** All settings. Help, `.env.example` and the reference page are generated from this table. */
export const settings = {
  databaseUrl: optional({
    env: 'DATABASE_URL',
    doc: 'PostgreSQL database, postgresql://USER:PASSWORD@HOST:PORT/DATABASE (several hosts: HOST:PORT,HOST:PORT; for verified TLS add ?sslmode=verify-full). Unset: the embedded database in DATA_DIR.',
    parse: parseDatabaseUrl,
    secret: true,
  }),
  databasePoolSize: required({
    env: 'DATABASE_POOL_SIZE',
    doc: 'Connections to PostgreSQL, at most 10. A few are faster than many.',
    default: '4',
    parse: wholeNumber(1, 10),
  }),
  dataDir: required({
    env: 'DATA_DIR',
    doc: 'Directory of the embedded database and of the secret key that is generated when SECRET_KEY is unset.',
    default: './data',
    parse: parseDirectory,
  }),
  host: required({ env: 'HOST', doc: 'Address to listen on.', default: '0.0.0.0', parse: parseHost }),
  port: required({
    env: 'PORT',
    doc: 'Port to listen on. 0 picks a free port.',
    default: '8000',
    parse: wholeNumber(0, 65535),
  }),
  basePath: required({
    env: 'BASE_PATH',
    doc: 'Path prefix of all routes, as clients see it. Set it to nothing if your proxy strips the prefix.',
    default: '/api',
    parse: parseBasePath,
    emptyMeans: 'empty',
  }),
  secretKey: optional({
    env: 'SECRET_KEY',
    doc: 'Key that signs tokens, at least 32 bytes (openssl rand -hex 32). Unset: generated once and stored in DATA_DIR/secret.key.',
    parse: parseSecretKey,
    secret: true,
  }),
  secretKeyPrevious: optional({
    env: 'SECRET_KEY_PREVIOUS',
    doc: 'Previous (or upcoming) values of SECRET_KEY, separated by commas or line breaks. They are accepted, but nothing new is signed with them.',
    parse: parseSecretKeys,
    secret: true,
  }),
  algorithm: required({
    env: 'ALGORITHM',
    doc: 'Signing algorithm: HS256 (with SECRET_KEY), or EdDSA, ES256 or RS256 (public keys at /.well-known/jwks.json).',
    default: 'HS256',
    parse: oneOf(algorithms),
  }),
  keyRotationDays: required({
    env: 'KEY_ROTATION_DAYS',
    doc: 'Days between rotations of the EdDSA, ES256 or RS256 key. 0: rotate only with audittrail key rotate.',
    default: '90',
    parse: wholeNumber(0, 3650),
  }),
  issuer: required({
    env: 'ISSUER',
    doc: 'The iss claim of tokens. Set it to your public URL.',
    default: 'audittrail',
    parse: parseClaim,
  }),
  audience: required({ env: 'AUDIENCE', doc: 'The aud claim of tokens.', default: 'audittrail', parse: parseClaim }),
  accessTokenExpireMinutes: required({
    env: 'ACCESS_TOKEN_EXPIRE_MINUTES',
    doc: 'Lifetime of an access token, in minutes.',
    default: '30',
    parse: wholeNumber(1, 1440),
  }),
  refreshTokenExpireDays: required({
    env: 'REFRESH_TOKEN_EXPIRE_DAYS',
    doc: 'Maximum lifetime of a session with a refresh token, in days.',
    default: '30',
    parse: wholeNumber(1, 3650),
  }),
  sessionIdleDays: required({
    env: 'SESSION_IDLE_DAYS',
    doc: 'Days without a refresh after which a session with a refresh token ends.',
    default: '14',
    parse: wholeNumber(1, 3650),
  }),
  sessionHours: required({
    env: 'SESSION_HOURS',
    doc: 'Maximum lifetime of a session in a browser, in hours. With "stay signed in": REFRESH_TOKEN_EXPIRE_DAYS.',
    default: '12',
    parse: wholeNumber(1, 720),
  }),
  sessionIdleMinutes: required({
    env: 'SESSION_IDLE_MINUTES',
    doc: 'Minutes without a request after which a session in a browser ends. With "stay signed in": SESSION_IDLE_DAYS.',
    default: '120',
    parse: wholeNumber(5, 43200),
  }),
  adminUsername: required({
    env: 'ADMIN_USERNAME',
    doc: 'Username of the administrator created at the first start. No effect afterwards.',
    default: 'admin',
    parse: parseUsername,
  }),
  adminPassword: optional({
    env: 'ADMIN_PASSWORD',
    doc: 'Password of that administrator. Unset: changeme. That, or a password that the policy rejects, must be changed before the account can be used.',
    parse: parseAdminPassword,
    secret: true,
  }),
  adminFullName: required({
    env: 'ADMIN_FULL_NAME',
    doc: 'Full name of that administrator.',
    default: 'Default Admin',
    parse: parseFullName,
  }),
  passwordMinLength: required({
    env: 'PASSWORD_MIN_LENGTH',
    doc: 'Minimum length of a new password, in characters.',
    default: '12',
    parse: wholeNumber(8, 128),
  }),
  passwordMemoryKib: required({
    env: 'PASSWORD_MEMORY_KIB',
    doc: 'Memory of one argon2id hash, in KiB.',
    default: '65536',
    parse: wholeNumber(8192, 524288),
  }),
  passwordTimeCost: required({
    env: 'PASSWORD_TIME_COST',
    doc: 'Iterations of one argon2id hash.',
    default: '2',
    parse: wholeNumber(1, 8),
  }),
  passwordConcurrency: required({
    env: 'PASSWORD_CONCURRENCY',
    doc: 'Password hashes computed at once. auto: one per core, or fewer when memory is tight.',
    default: 'auto',
    parse: parsePasswordConcurrency,
  }),
  nativeArgon2: required({
    env: 'NATIVE_ARGON2',
    doc: 'on or off: verify argon2 hashes with the native addon. off: with Bun.password, which takes about three times as long.',
    default: 'on',
    parse: parseSwitch,
  }),
  trustedProxies: required({
    env: 'TRUSTED_PROXIES',
    doc: 'Proxies whose X-Forwarded-For is trusted: addresses or networks, separated by commas (127.0.0.1, 10.0.0.0/8).',
    default: '',
    parse: parseNetworks,
    emptyMeans: 'empty',
  }),
  corsOrigins: required({
    env: 'CORS_ORIGINS',
    doc: 'Origins whose pages may call the API from a browser, separated by commas (https://app.example.com, capacitor://localhost). Empty: same origin only.',
    default: '',
    parse: parseOrigins,
    emptyMeans: 'empty',
  }),
  shutdownGraceSeconds: required({
    env: 'SHUTDOWN_GRACE_SECONDS',
    doc: 'Seconds to keep serving after SIGTERM while /ready returns 503, so that load balancers drain this instance.',
    default: '1',
    parse: wholeNumber(0, 300),
  }),
  docs: required({
    env: 'DOCS',
    doc: 'on or off: the API docs at /docs and the OpenAPI document at /openapi.json.',
    default: 'on',
    parse: parseSwitch,
  }),
  pages: required({
    env: 'PAGES',
    doc: 'on or off: signing in by browser, with a cookie. off: tokens and API keys only.',
    default: 'on',
    parse: parseSwitch,
  }),
  publicOrigins: required({
    env: 'PUBLIC_ORIGINS',
    doc: 'Origins at which browsers reach AuditTrail, separated by commas (https://app.example.com). Empty: the scheme and Host of each request, as the proxy reports them.',
    default: '',
    parse: parseWebOrigins,
    emptyMeans: 'empty',
  }),
  pageTitle: required({
    env: 'PAGE_TITLE',
    doc: 'Name of your product on the sign-in and account pages.',
    default: 'AuditTrail',
    parse: parsePageTitle,
  }),
  ...auditLogSettings,
  logLevel: required({
    env: 'LOG_LEVEL',
    doc: `Lowest level of the events to log: ${logLevels.join(', ')}.`,
    default: 'info',
    parse: oneOf(logLevels, logLevelSynonyms),
  }),
  logFormat: required({
    env: 'LOG_FORMAT',
    doc: 'json (one line per event) or pretty (for people, with a startup banner). Unset on a terminal: pretty.',
    default: 'json',
    parse: oneOf(logFormats),
  }),
  logRequests: required({
    env: 'LOG_REQUESTS',
    doc: 'Requests to log: all, errors (status 500 and above), off, or the share of the other requests to log besides errors, such as 0.01.',
    default: 'all',
    parse: parseLoggedRequests,
  }),
  metrics: required({
    env: 'METRICS',
    doc: 'off, or a private address and port (127.0.0.1:9464) where GET /metrics serves Prometheus, without authentication.',
    default: 'off',
    parse: parseOptionalAddress,
  }),
} as const satisfies Record<string, Setting<unknown>>
