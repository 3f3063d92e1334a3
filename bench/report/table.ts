import { format, type Row, spreadOf } from './row.ts'
import { names, targets, verdictOf } from './targets.ts'

/** A line of the table in docs/performance.md, by the names of rows. */
interface Line {
  readonly work: string
  readonly measured: string
  readonly limit?: string
  /** What the limit is. */
  readonly limitName?: string
  readonly ratio?: string
}

const lines: readonly Line[] = [
  {
    work: '`/auth/me`, requests/s',
    measured: '/auth/me, requests/s',
    limit: 'Bun.serve + one prepared SELECT, requests/s',
    limitName: 'one prepared SELECT per request',
    ratio: names.me,
  },
  {
    work: 'its p99, ms',
    measured: '/auth/me, p99, ms',
    limit: 'Bun.serve + one prepared SELECT, p99, ms',
    limitName: 'the same',
    ratio: names.meLatency,
  },
  {
    work: 'its CPU time in AuditTrail, µs',
    measured: '/auth/me, CPU of the server per request, µs',
    limit: 'Bun.serve + one prepared SELECT, CPU of the server per request, µs',
    limitName: 'the same',
  },
  {
    work: 'its CPU time in PostgreSQL, µs',
    measured: '/auth/me, CPU of PostgreSQL per request, µs',
    limit: 'Bun.serve + one prepared SELECT, CPU of PostgreSQL per request, µs',
    limitName: 'the same',
  },
  {
    work: '`/auth/verify` with a token, requests/s',
    measured: '/auth/verify with a token, requests/s',
    limit: '/auth/me, for comparison, requests/s',
    limitName: '`/auth/me`',
    ratio: names.verify,
  },
  {
    work: '`/auth/verify` with an API key, requests/s',
    measured: '/auth/verify with an API key, requests/s',
    limit: '/auth/me, for comparison, requests/s',
    limitName: '`/auth/me`',
    ratio: '/auth/verify with an API key to /auth/me',
  },
  {
    work: '`/auth/verify` with a cookie, requests/s',
    measured: '/auth/verify with a cookie, requests/s',
    limit: '/auth/verify with a token, requests/s',
    limitName: '`/auth/verify` with a token',
    ratio: names.verifyByCookie,
  },
  {
    work: '`/auth/introspect`, requests/s',
    measured: '/auth/introspect, requests/s',
    limit: 'one prepared SELECT (introspection), requests/s',
    limitName: 'one prepared SELECT per request',
    ratio: '/auth/introspect to Bun.serve + one prepared SELECT',
  },
  {
    work: '`/auth/refresh`, requests/s',
    measured: '/auth/refresh, requests/s',
    limit: 'Bun.serve + one prepared UPDATE, requests/s',
    limitName: 'one prepared UPDATE per request, with `fsync`',
    ratio: '/auth/refresh to Bun.serve + one prepared UPDATE',
  },
  {
    work: 'logins/s, 8 clients',
    measured: 'logins at 8 clients, logins/s',
    limit: 'native argon2 alone, hashes/s',
    limitName: 'native argon2 alone',
    ratio: names.login,
  },
  {
    work: 'login p99, 16 clients, ms',
    measured: 'login at 16 clients, p99, ms',
    limit: 'login at 16 clients, mean, ms',
    limitName: 'its mean',
    ratio: names.loginLatency,
  },
  {
    work: '`/auth/me` p99 while 16 clients log in, ms',
    measured: '/auth/me p99 while 16 clients log in, ms',
    limit: '/auth/me at 100 requests/s, quiet p99, ms',
    limitName: 'without logins',
    ratio: names.storm,
  },
  {
    work: 'start to the first 200, ms',
    measured: 'start to first 200 on /health, ms',
    limit: 'start to first 200, compiled hello-world, ms',
    limitName: 'compiled hello-world',
    ratio: names.start,
  },
  {
    work: 'memory on PostgreSQL, idle, MB',
    measured: names.idleMemory,
    limit: 'memory of Bun.serve + one prepared SELECT, idle, MB',
    limitName: '`Bun.serve` with a driver',
  },
  {
    work: 'memory under `/auth/me` load, MB',
    measured: names.loadMemory,
    limit: 'memory of Bun.serve + one prepared SELECT, under load, MB',
    limitName: 'the same',
  },
  { work: 'memory 10 s after a login storm, above idle, MB', measured: names.stormMemory },
  {
    work: '`/auth/me` at 10⁶ users and 2·10⁶ sessions, requests/s',
    measured: '/auth/me at 10⁶ users and 2·10⁶ sessions, requests/s',
    limit: '/auth/me at 10⁴ users and 2·10⁴ sessions, requests/s',
    limitName: 'at 10⁴ users',
    ratio: names.growth,
  },
  {
    work: 'the same, CPU per request to that at 10⁴ users',
    measured: '/auth/me at 10⁶ users and 2·10⁶ sessions, to 10⁴, CPU per request',
  },
  { work: 'binary, above 123.4 MB (before the native argon2), MB', measured: names.binary },
  { work: 'embedded database: ready on an empty directory, ms', measured: 'embedded: ready on an empty directory, ms' },
  {
    work: 'embedded database: ready on an existing directory, ms',
    measured: 'embedded: ready on an existing directory, ms',
  },
  { work: 'embedded database: memory, idle, MB', measured: 'embedded: memory, idle, MB' },
]

/**
 * Returns the table as Markdown: medians, and for ratios their range. Leaves out what was not
 * measured.
 */
export function writeTable(rows: readonly Row[]): string {
  const find = (what: string | undefined) => rows.find((row) => row.what === what)
  const body = lines.flatMap(({ work, measured, limit, limitName, ratio }) => {
    const own = find(measured)
    if (!own) return []
    const limitRow = find(limit)
    const limitText = limitRow ? `${limitName}: ${format(spreadOf(limitRow.values).median)}` : ''
    const ratioRow = find(ratio)
    const judged = ratioRow ?? own
    return [
      `| ${work} | ${format(spreadOf(own.values).median)} | ${limitText} | ${ratioRow ? describeRatio(ratioRow) : ''} | ${describeTarget(judged)} |`,
    ]
  })
  return ['| work | measured | limit | ratio | target |', '|---|---|---|---|---|', ...body].join('\n')
}

function describeRatio({ values }: Row): string {
  const { min, median, max } = spreadOf(values)
  return `**${format(median)}** (${format(min)} to ${format(max)})`
}

function describeTarget({ what, values }: Row): string {
  const target = targets[what]
  if (!target) return ''
  const sign = target.better === 'higher' ? 'at least' : 'at most'
  const isMissed = verdictOf(spreadOf(values).median, target) === 'misses the target'
  return `${sign} ${target.must}${target.aim === undefined ? '' : ` (aim: ${target.aim})`}${isMissed ? ', missed' : ''}`
}
