import type { Row } from './row.ts'

/** What a row must reach and should reach. */
export interface Target {
  readonly must: number
  readonly aim?: number
  readonly better: 'higher' | 'lower'
}

/** The names of rows with a target. */
export const names = {
  meBefore: '/auth/me to the version before',
  loginBefore: 'logins to the version before',
  auditInserts: 'session inserts with their event, to inserts alone',
  auditPending: 'pending events, 9 connections, rows/s',
  auditSequenced: 'sequenced events/s',
  auditVisible: 'event in a checkpoint at 200 events/s, p99, s',
  auditStorage: 'storage per event, kB',
  me: '/auth/me, 32 connections, to Bun.serve + one prepared SELECT',
  meLatency: '/auth/me p99, to that of Bun.serve + one prepared SELECT',
  verify: '/auth/verify to /auth/me',
  verifyByCookie: '/auth/verify with a cookie to /auth/verify with a token',
  login: 'logins at 8 clients to native argon2 alone',
  loginLatency: 'login p99 at 16 clients to its mean',
  storm: '/auth/me p99 while 16 clients log in, to its own quiet p99',
  start: 'start to first 200, to a compiled hello-world',
  idleMemory: 'memory on PostgreSQL, idle, MB',
  loadMemory: 'memory on PostgreSQL, under /auth/me load, MB',
  stormMemory: 'memory 10 s after a login storm, above idle, MB',
  growth: '/auth/me at 10⁶ users and 2·10⁶ sessions, to 10⁴, time per request',
  binary: 'binary, above 123.4 MB (before the native argon2), MB',
} as const

/** The size of the binary before the addon, in MB. */
export const binaryBefore = 123.4

export const targets: Readonly<Record<string, Target>> = {
  [names.meBefore]: { must: 0.97, aim: 1, better: 'higher' },
  [names.loginBefore]: { must: 0.97, aim: 1, better: 'higher' },
  [names.auditInserts]: { must: 0.5, aim: 0.6, better: 'higher' },
  [names.auditPending]: { must: 2000, aim: 4000, better: 'higher' },
  [names.auditSequenced]: { must: 5000, aim: 10_000, better: 'higher' },
  [names.auditVisible]: { must: 2, aim: 1.2, better: 'lower' },
  [names.auditStorage]: { must: 1.2, aim: 0.9, better: 'lower' },
  [names.me]: { must: 1.6, aim: 2, better: 'higher' },
  [names.meLatency]: { must: 1.3, aim: 1, better: 'lower' },
  [names.verify]: { must: 1, aim: 1.1, better: 'higher' },
  [names.verifyByCookie]: { must: 0.95, aim: 1, better: 'higher' },
  [names.login]: { must: 0.9, aim: 0.97, better: 'higher' },
  [names.loginLatency]: { must: 1.3, better: 'lower' },
  [names.storm]: { must: 3, aim: 2, better: 'lower' },
  [names.start]: { must: 1.6, aim: 1.3, better: 'lower' },
  [names.idleMemory]: { must: 65, aim: 55, better: 'lower' },
  [names.loadMemory]: { must: 120, aim: 95, better: 'lower' },
  [names.stormMemory]: { must: 20, aim: 10, better: 'lower' },
  [names.growth]: { must: 1.1, aim: 1.03, better: 'lower' },
  [names.binary]: { must: 3, aim: 1.5, better: 'lower' },
}

/**
 * Returns a figure for charts: 1 where the target is just met, above where it is exceeded,
 * whichever direction is better. At most 2.
 */
export function scoreOf(value: number, { must, better }: Target): number {
  const score = better === 'higher' ? value / must : must / Math.max(value, must / 2)
  return Math.max(0, Math.min(2, score))
}

export function verdictOf(value: number, { must, aim, better }: Target): string {
  const reaches = (bound: number) => (better === 'higher' ? value >= bound : value <= bound)
  if (aim !== undefined && reaches(aim)) return 'reaches the aim'
  return reaches(must) ? 'meets the target' : 'misses the target'
}

/** Returns the rows that have a target, in the order of the targets. */
export function judged(rows: readonly Row[]): readonly { readonly row: Row; readonly target: Target }[] {
  return Object.entries(targets).flatMap(([what, target]) => {
    const row = rows.find((one) => one.what === what)
    return row ? [{ row, target }] : []
  })
}

export function targetOf({ what }: Row): Target | undefined {
  return targets[what]
}
