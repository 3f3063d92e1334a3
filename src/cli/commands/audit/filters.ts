import { AppError } from '../../../error.ts'
import type { CommandInput, Flag } from '../../command.ts'
import type { AuditQuery } from '../../control/auditOperations.ts'

const listedByDefault = 50

export const filterFlags = {
  user: { value: 'NAME|ID', doc: 'Only records by or about this user or API key' },
  by: { value: 'NAME|ID', doc: 'Only records of what this user or API key did' },
  about: { value: 'NAME|ID', doc: 'Only records of what was done to this user or API key' },
  type: { value: 'TYPE', doc: 'Only records of this type, such as login.failed' },
  outcome: { value: 'OUTCOME', doc: 'Only records with this outcome: done or refused' },
  since: {
    value: 'TIME',
    doc: 'Only records from this time on: 2026-11-28, 2026-11-28T09:30Z, or an age such as 30m, 2h or 7d',
  },
  until: { value: 'TIME', doc: 'Only records before this time' },
  limit: { value: 'NUMBER', doc: `How many, 1 to 1000 (default: ${listedByDefault})` },
} as const satisfies Readonly<Record<string, Flag>>

/** Throws `usage` for an invalid filter. */
export function queryOf({ flags }: CommandInput, now: number): AuditQuery {
  const textOf = (name: keyof typeof filterFlags) => flags.get(name)?.[0]
  const limit = textOf('limit') ?? String(listedByDefault)
  if (!/^([1-9]\d{0,2}|1000)$/.test(limit)) throw new AppError('usage', '--limit must be a number from 1 to 1000.')
  const outcome = textOf('outcome')
  if (outcome !== undefined && outcome !== 'done' && outcome !== 'refused')
    throw new AppError('usage', '--outcome must be done or refused.')
  const timeOf = (name: 'since' | 'until') => {
    const text = textOf(name)
    return text === undefined ? undefined : parseTime(name, text, now)
  }
  const query = {
    since: timeOf('since'),
    until: timeOf('until'),
    type: textOf('type'),
    outcome,
    user: textOf('user'),
    by: textOf('by'),
    about: textOf('about'),
  }
  // A server receives it as JSON, which has no undefined.
  return { limit: Number(limit), ...JSON.parse(JSON.stringify(query)) }
}

const seconds = { m: 60, h: 3600, d: 86_400 } as const
const isoTime = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})?)?$/

/** Parses an ISO 8601 time, in UTC unless it has an offset, or how long ago it was. */
export function parseTime(flag: string, text: string, now: number): string {
  const [, count, unit] = /^(\d{1,6})([mhd])$/.exec(text) ?? []
  if (count !== undefined)
    return new Date(now - Number(count) * seconds[unit as keyof typeof seconds] * 1000).toISOString()
  const hasZone = text.length <= 10 || /(Z|[+-]\d{2}:\d{2})$/.test(text)
  const time = isoTime.test(text) ? new Date(hasZone ? text : `${text}Z`) : undefined
  if (time && !Number.isNaN(time.getTime())) return time.toISOString()
  throw new AppError('usage', `--${flag} must be a time such as 2026-11-28, 2026-11-28T09:30Z or 2h (two hours ago).`)
}
