import { guarded } from '../failure.ts'
import type { Client } from '../pool/connection.ts'
import { accountStatements } from './accounts.ts'
import type { Batch, PendingEvent } from './batch.ts'
import { erasureStatements } from './erasure.ts'
import { type EventRow, insertEvents } from './pending.ts'
import { pendingStatements } from './pendingStatements.ts'
import { pruningStatements } from './pruning.ts'
import { publishingStatements } from './publishing.ts'
import { eventSearchStatements, eventsOfTypes } from './search.ts'
import {
  type AcceptedHead,
  clamped,
  continueLog,
  isEmptyLog,
  pendingColumns,
  pendingOf,
  readEdge,
  readHead,
  type SequenceInput,
  type SequenceSetting,
  type StoredHead,
  sequenceBatch,
  signHead,
} from './sequence.ts'
import { witnessStatements } from './witnesses.ts'

/** A record of the log, as stored. */
export interface StoredEvent {
  readonly index: number
  readonly leaf: string
  readonly hash: Buffer
  readonly seal: Buffer
  readonly process: string
  readonly n: number
  readonly time: Date
  readonly type: string
  readonly by_id: string | null
  readonly about_id: string | null
  readonly outcome: string
  readonly by_private: string | null
  readonly about_private: string | null
}

export interface EventFilter {
  /** Records with a lower index, newest first. Undefined: from the newest. */
  readonly before?: number | undefined
  /** Records from this index on, oldest first. */
  readonly from?: number | undefined
  readonly limit: number
  readonly since?: Date | undefined
  readonly until?: Date | undefined
  readonly type?: string | undefined
  /** Requires `from` and `before`. */
  readonly types?: readonly string[] | undefined
  readonly by?: string | undefined
  readonly about?: string | undefined
  /** By this user or about this user. */
  readonly of?: string | undefined
  readonly outcome?: string | undefined
}

/** Numbers from `from` on and below `until`, if given. */
export interface NumberFilter {
  readonly below: number
  readonly from?: number | undefined
  readonly until?: number | undefined
  readonly limit: number
}

export interface StoredCheckpoint {
  readonly size: number
  readonly root: Buffer
  readonly note: string
}

/** What the newest checkpoint does not cover. */
export interface Outside {
  readonly records: readonly { readonly index: number; readonly time: string; readonly type: string }[]
  /** Each as level and index. */
  readonly nodes: readonly string[]
}

type Row = Record<string, string | null>

export function auditStatements({ client }: { readonly client: Client }) {
  return {
    ...eventSearchStatements(client),
    ...pendingStatements(client),
    ...publishingStatements(client),
    ...witnessStatements(client),
    ...erasureStatements(client),
    ...pruningStatements(client),
    ...accountStatements(client),

    /** Records an event that changes nothing else. */
    insertEvent: (row: EventRow): Promise<void> => guarded(() => insertEvents(client, [row])),

    /** Moves pending events into the log. See `sequenceBatch`. */
    sequence: (
      setting: SequenceSetting,
      plan: (input: SequenceInput) => Batch | undefined,
    ): Promise<number | undefined> => guarded(() => sequenceBatch(client, setting, plan)),

    readHead: (widthsOf: (size: number) => readonly number[], firstOrigin?: string): Promise<StoredHead> =>
      guarded(() => readHead(client, widthsOf, firstOrigin)),

    /** Reads the right edge of the tree as it was at a size. */
    readEdge: (widths: readonly number[], size: number): Promise<Buffer[][]> =>
      guarded(() => readEdge(client, widths, size)),

    /** Lists records of the log by index. */
    listEvents: (filter: EventFilter): Promise<StoredEvent[]> =>
      guarded(async () => {
        const { before, from, limit, since, until, type, types, by, about, of, outcome } = filter
        const rows = await client<Row[]>`
          SELECT ${eventColumns(client)}
          FROM ${types ? eventsOfTypes(client, types, filter) : client`audittrail_audit_events`} WHERE true
            ${before === undefined ? client`` : client`AND index < ${before}::bigint`}
            ${from === undefined ? client`` : client`AND index >= ${from}::bigint`}
            ${since ? client`AND time >= ${since.toISOString()}::timestamptz` : client``}
            ${until ? client`AND time < ${until.toISOString()}::timestamptz` : client``}
            ${type === undefined ? client`` : client`AND type = ${type}`}
            ${by === undefined ? client`` : client`AND by_id = ${by}::uuid`}
            ${about === undefined ? client`` : client`AND about_id = ${about}::uuid`}
            ${of === undefined ? client`` : client`AND (by_id = ${of}::uuid OR about_id = ${of}::uuid)`}
            ${outcome === undefined ? client`` : client`AND outcome = ${outcome}`}
          ORDER BY audittrail_audit_events.index ${from === undefined ? client`DESC` : client`ASC`} LIMIT ${limit}`
        return rows.map(eventOf)
      }),

    /**
     * Lists records of a process with an index below `below` by their numbers: lowest first with
     * `from`, highest first without.
     */
    listOfProcess: (process: string, { below, from, until, limit }: NumberFilter): Promise<StoredEvent[]> =>
      guarded(async () => {
        const rows = await client<Row[]>`
          SELECT ${eventColumns(client)} FROM audittrail_audit_events WHERE process = ${process} AND index < ${below}::bigint
            ${from === undefined ? client`` : client`AND n >= ${from}::bigint`}
            ${until === undefined ? client`` : client`AND n < ${until}::bigint`}
          ORDER BY audittrail_audit_events.n ${from === undefined ? client`DESC` : client`ASC`} LIMIT ${limit}`
        return rows.map(eventOf)
      }),

    /** Lists checkpoints of at least this size, smallest first. */
    listCheckpoints: (from: number, limit: number): Promise<StoredCheckpoint[]> =>
      guarded(async () => {
        const rows = await client<Row[]>`
          SELECT size::text AS size, encode(root, 'hex') AS root, note FROM audittrail_audit_checkpoints
          WHERE size >= ${from}::bigint ORDER BY audittrail_audit_checkpoints.size LIMIT ${limit}`
        return rows.map(({ size, root, note }) => ({
          size: clamped(size ?? 0),
          root: Buffer.from(root ?? '', 'hex'),
          note: note ?? '',
        }))
      }),

    /** Lists nodes of a level from an index on. */
    listNodes: (level: number, from: number, limit: number): Promise<{ index: number; hash: Buffer }[]> =>
      guarded(async () => {
        const rows = await client<Row[]>`
          SELECT index::text AS index, encode(hash, 'hex') AS hash FROM audittrail_audit_nodes
          WHERE level = ${level} AND index >= ${from}::bigint ORDER BY audittrail_audit_nodes.index LIMIT ${limit}`
        return rows.map(({ index, hash }) => ({ index: Number(index), hash: Buffer.from(hash ?? '', 'hex') }))
      }),

    /** Lists the hashes of leaves from an index on, up to a size. */
    listHashes: (from: number, size: number, limit: number): Promise<Buffer[]> =>
      guarded(async () => {
        const rows = await client<Row[]>`
          SELECT encode(hash, 'hex') AS hash FROM audittrail_audit_events
          WHERE index >= ${from}::bigint AND index < ${size}::bigint ORDER BY index LIMIT ${limit}`
        return rows.map(({ hash }) => Buffer.from(hash ?? '', 'hex'))
      }),

    /**
     * Lists what is outside of the log, from one snapshot: records and nodes with an index that the
     * newest checkpoint does not cover.
     */
    listOutside: (limit: number): Promise<Outside> =>
      guarded(async () => {
        const rows = await client<Row[]>`
          WITH head AS (SELECT coalesce(max(size), 0) AS size FROM audittrail_audit_checkpoints)
          (SELECT index::text AS index, NULL AS node, time::text AS time, type FROM audittrail_audit_events, head
           WHERE index < 0 OR index >= head.size ORDER BY audittrail_audit_events.index LIMIT ${limit})
          UNION ALL
          (SELECT NULL, level || '/' || index, NULL, NULL FROM audittrail_audit_nodes, head
           WHERE index < 0 OR level > 6 OR (index::numeric + 1) * 256::numeric ^ level::numeric > head.size LIMIT ${limit})`
        return {
          records: rows.flatMap(({ index, time, type }) =>
            index ? { index: clamped(index), time: time ?? '', type: type ?? '' } : [],
          ),
          nodes: rows.flatMap(({ node }) => node ?? []),
        }
      }),

    /** Gives every pending event another MAC, if the log is empty. Returns whether it is. */
    replaceFirstMacs: (macOf: (row: PendingEvent) => Buffer): Promise<boolean> =>
      guarded(async () => {
        if (!(await isEmptyLog(client))) return false
        const rows = await client`SELECT ${pendingColumns(client)} FROM audittrail_audit_pending FOR UPDATE`
        const given = rows.map(pendingOf).map((row) => ({ id: row.id, mac: macOf(row).toString('hex') }))
        await client`
          UPDATE audittrail_audit_pending SET mac = decode(given.mac, 'hex'), refused_at = NULL
          FROM json_to_recordset(${JSON.stringify(given)}::text::json) AS given (id bigint, mac text)
          WHERE audittrail_audit_pending.id = given.id`
        return true
      }),

    /** Replaces the signatures of the newest checkpoint, while no sequencer adds another. */
    signHead: (
      widthsOf: (size: number) => readonly number[],
      sign: (head: StoredHead) => string | undefined,
    ): Promise<void> => guarded(() => signHead(client, widthsOf, sign)),

    /** Renames the log. See `continueLog`. */
    continueAs: <T extends AcceptedHead>(
      setting: { firstOrigin: string; widthsOf: (size: number) => readonly number[] },
      accept: (head: StoredHead) => T,
    ): Promise<T> => guarded(() => continueLog(client, setting, accept)),
  }
}

export type AuditStatements = ReturnType<typeof auditStatements>

function eventColumns(client: Client) {
  return client`index::text AS index, leaf, encode(hash, 'hex') AS hash, encode(seal, 'hex') AS seal, process, n::text AS n,
    (extract(epoch FROM time) * 1000)::double precision::text AS time, type, by_id::text AS by_id, about_id::text AS about_id,
    outcome, by_private, about_private`
}

function eventOf(row: Row): StoredEvent {
  return {
    index: clamped(row.index ?? 0),
    leaf: row.leaf ?? '',
    hash: Buffer.from(row.hash ?? '', 'hex'),
    seal: Buffer.from(row.seal ?? '', 'hex'),
    process: row.process ?? '',
    n: Number(row.n),
    time: new Date(Number(row.time)),
    type: row.type ?? '',
    by_id: row.by_id ?? null,
    about_id: row.about_id ?? null,
    outcome: row.outcome ?? '',
    by_private: row.by_private ?? null,
    about_private: row.about_private ?? null,
  }
}
