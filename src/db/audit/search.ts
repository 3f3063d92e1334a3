import { guarded } from '../failure.ts'
import type { Client } from '../pool/connection.ts'
import {
  candidatesOf,
  collectedOf,
  type EventCriteria,
  narrowingOf,
  readsByTime,
  type Scan,
  type ScanIndex,
  type ScanPosition,
} from './searchSql.ts'

/** What a search of the log returns of a record. */
export interface FoundEvent {
  readonly index: number
  readonly leaf: string
  readonly time: Date
  readonly type: string
  readonly outcome: string
  readonly by_private: string | null
  readonly about_private: string | null
  readonly at: ScanPosition
}

export interface Scanned {
  readonly events: readonly FoundEvent[]
  /** Where to go on. Undefined: there are no more. */
  readonly end: ScanPosition | undefined
}

/** Records that one statement examines, so that none takes long. */
const examined = 2000
/** Records that are collected and sorted by time, at most. */
export const collectable = 10_000

export function eventSearchStatements(client: Client) {
  return {
    /**
     * Returns matching records among the next ones of an index. It may find fewer than `limit`, or
     * none, although there are more.
     */
    scanEvents: (scan: Scan): Promise<Scanned> =>
      guarded(async () => {
        const { text, values, limit } = scanSql(scan)
        const rows = await client.unsafe(text, [...values])
        const events = rows.flatMap((row) => (row.index === null ? [] : [foundOf(row)]))
        const [first] = rows
        const isCut = first !== undefined && Number(first.examined) === limit && first.last_index !== null
        const stop = isCut ? { index: first.last_index, time: first.last_time } : undefined
        return { events, end: events.length === scan.limit ? events.at(-1)?.at : stop }
      }),

    /** Counts the records that a criterion leaves, up to one more than `collectable`. */
    countEvents: (criteria: EventCriteria, by: Exclude<ScanIndex, 'time'>): Promise<number> =>
      guarded(async () => {
        const { sql, values } = candidatesOf({ criteria, by, order: 'newest', after: undefined }, collectable + 1)
        const [row] = await client.unsafe(`SELECT count(*)::integer AS count FROM (${sql}) candidates`, [...values])
        return Number(row?.count ?? 0)
      }),

    /** Returns the index that the next record gets, at least. */
    nextEventIndex: (): Promise<number> =>
      guarded(async () => {
        const [row] = await client`SELECT max(index)::text AS last FROM audittrail_audit_events`
        return Number(row?.last ?? -1) + 1
      }),
  }
}

/** Returns the statement of a scan, and how many records it examines. */
export function scanSql(scan: Scan): { text: string; values: readonly string[]; limit: number } {
  const { order, limit } = scan
  const isByTime = readsByTime(scan.criteria)
  const isCollected = isByTime && scan.by !== 'time'
  const hasFilter =
    narrowingOf(scan.criteria).some((name) => name !== scan.by) || (isByTime && scan.criteria.from !== undefined)
  const most = isCollected ? collectable * 2 : hasFilter ? Math.max(examined, limit) : limit
  const candidates = isCollected ? collectedOf(scan, most) : candidatesOf(scan, most)
  const columns = isByTime ? ['time', 'index'] : ['index']
  const sorted = (prefix: string, direction: string) =>
    columns.map((column) => `${prefix}${column} ${direction}`).join(', ')
  const [onward, back] = order === 'newest' ? ['DESC', 'ASC'] : ['ASC', 'DESC']
  const microseconds = (time: string) => (isByTime ? `(extract(epoch FROM ${time}) * 1000000)::bigint::text` : 'NULL')
  // A record in the log with all its columns is read only once it is known to match.
  const text = `
    WITH candidates AS MATERIALIZED (${candidates.sql}),
    matching AS MATERIALIZED (
      SELECT index, time FROM candidates WHERE is_match ORDER BY ${sorted('', onward)} LIMIT ${limit})
    SELECT (SELECT count(*) FROM candidates) AS examined, last.index::text AS last_index, ${microseconds('last.time')} AS last_time,
           event.index::text AS index, event.leaf, event.type, event.outcome, event.by_private, event.about_private,
           (extract(epoch FROM event.time) * 1000)::double precision::text AS time, ${microseconds('event.time')} AS microseconds
    FROM (SELECT) one
    LEFT JOIN (SELECT index, time FROM candidates ORDER BY ${sorted('', back)} LIMIT 1) last ON true
    LEFT JOIN (
      SELECT events.* FROM matching JOIN audittrail_audit_events events ON events.index = matching.index) event ON true
    ORDER BY ${sorted('event.', onward)}`
  return { text, values: candidates.values, limit: most }
}

type Row = Record<string, string | null>

function foundOf(row: Row): FoundEvent {
  return {
    index: Number(row.index),
    leaf: row.leaf ?? '',
    time: new Date(Number(row.time)),
    type: row.type ?? '',
    outcome: row.outcome ?? '',
    by_private: row.by_private ?? null,
    about_private: row.about_private ?? null,
    at: { index: row.index ?? '', time: row.microseconds ?? null },
  }
}

/** Reads each type by its index, since records of other types may be many. */
export function eventsOfTypes(
  client: Client,
  types: readonly string[],
  {
    from = 0,
    before = 0,
    limit,
  }: { readonly from?: number | undefined; readonly before?: number | undefined; readonly limit: number },
) {
  return client`(
    SELECT event.* FROM json_array_elements_text(${JSON.stringify(types)}::text::json) AS wanted (type)
    CROSS JOIN LATERAL (
      SELECT * FROM audittrail_audit_events
      WHERE (type, index) >= (wanted.type, ${from}::bigint) AND (type, index) < (wanted.type, ${before}::bigint)
      ORDER BY type, index LIMIT ${limit}) AS event) AS audittrail_audit_events`
}
