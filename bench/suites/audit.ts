import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { parseDatabaseUrl } from '../../src/config/databaseUrl.ts'
import { type Database, openDatabase } from '../../src/db/database.ts'
import { openPool } from '../../src/db/pool/pool.ts'
import { createAuditKeys } from '../../src/domain/audit/auditKeys.ts'
import { createRecorder, type Recorder } from '../../src/domain/audit/recorder.ts'
import { createSequencer, type Sequencer } from '../../src/domain/audit/sequencer.ts'
import { createSessionId } from '../../src/domain/sessions/sessionId.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { startServer } from '../../test/postgresqlServer.ts'
import { interleave, ratesOf } from '../load/client.ts'
import { binary } from '../machine/process.ts'
import { peakMemoryOf } from '../machine/readings.ts'
import { secretKey, settingsFor } from '../options.ts'
import { type Row, ratio } from '../report/row.ts'
import { names } from '../report/targets.ts'

/** Connections that insert, besides the one for reads. */
const writers = 9
/** Events of the log that is verified: `AUDIT_EVENTS=1000000`. */
const logged = Number(process.env.AUDIT_EVENTS ?? 100_000)
const visibleRate = 200
const visibleSeconds = 10
/** Built by `bun run test:interop`. */
const fsck = join(import.meta.dir, '../../dist/interop/fsck')
const agent = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

interface Site {
  readonly database: Database
  readonly client: postgres.Sql
  readonly recorder: Recorder
  readonly sequencer: Sequencer
  readonly userId: string
  readonly url: string
}

/** What a change pays for its event, and how fast events reach the log and are verified. */
export async function measureAudit(): Promise<Row[]> {
  const server = await startServer(['max_wal_size=4GB'])
  const site = await openSite(server.url)
  try {
    return [
      ...(await measureInserts(site)),
      ...(await measureVisibility(site)),
      ...(await measureLog(site)),
      ...(await measureVerification(site)),
    ]
  } finally {
    await site.database.close()
    await site.client.end()
    await server.stop()
  }
}

async function openSite(url: string): Promise<Site> {
  const target = { kind: 'server', address: parseDatabaseUrl(url), poolSize: writers + 1 } as const
  const database = openDatabase(openPool(target))
  await database.migrate()
  const client = postgres(url, { max: 1, onnotice: () => {} })
  await database.instance.insertInstance()
  const [user] = await client`
    INSERT INTO users (username, hashed_password, full_name) VALUES ('ada', '!', 'Ada Lovelace') RETURNING id`
  const log = createLog({ level: 'warn', format: 'json', now: Date.now, write: (line) => process.stderr.write(line) })
  const monotonicClock = performance.now.bind(performance)
  const secretKeys = { current: secretKey, previous: [] }
  const recorder = createRecorder(
    createAuditKeys(() => secretKeys),
    Date.now,
    monotonicClock,
  )
  const deps = { database, audit: recorder, clock: Date.now, monotonicClock, log }
  const sequencer = createSequencer(deps, true)
  return { database, client, recorder, sequencer, userId: String(user?.id), url }
}

function prepare({ recorder, userId }: Site, session: string) {
  const party = { kind: 'user', id: userId, username: 'ada', full_name: 'Ada Lovelace' } as const
  const event = { event: 'login.succeeded', username: 'ada', session, address: '192.0.2.7' } as const
  return recorder.prepare(
    { event, by: party, about: party },
    { address: '192.0.2.7', agent, request: crypto.randomUUID() },
  )
}

async function startSession(site: Site, isRecorded: boolean): Promise<void> {
  const now = new Date()
  const later = new Date(now.getTime() + 86_400_000)
  const id = createSessionId(now.getTime())
  const session = { id, userId: site.userId, verifiedHash: '!', now, expiresAt: later, sweepAt: later } as const
  const event = isRecorded ? prepare(site, id) : undefined
  await site.database.signIns.insertSession(
    { ...session, refreshGeneration: 0, address: '192.0.2.7', userAgent: agent },
    event?.row,
  )
  if (event) site.recorder.settle([event], 'committed')
}

async function recordEvent(site: Site): Promise<void> {
  const event = prepare(site, crypto.randomUUID())
  await site.database.audit.insertEvent(event.row)
  site.recorder.settle([event], 'committed')
}

/** Repeats work on every connection. Returns the rate. */
async function repeat(seconds: number, work: () => Promise<void>): Promise<{ readonly perSecond: number }> {
  const began = performance.now()
  const until = began + seconds * 1000
  let count = 0
  const loop = async () => {
    for (; performance.now() < until; count++) await work()
  }
  await Promise.all(Array.from({ length: writers }, loop))
  return { perSecond: count / ((performance.now() - began) / 1000) }
}

async function measureInserts(site: Site): Promise<Row[]> {
  const runs = await interleave({
    alone: (seconds) => repeat(seconds, () => startSession(site, false)),
    recorded: (seconds) => repeat(seconds, () => startSession(site, true)),
    pending: (seconds) => repeat(seconds, () => recordEvent(site)),
  })
  return [
    { what: 'session inserts, 9 connections, inserts/s', values: ratesOf(runs.alone) },
    { what: 'session inserts with their event, inserts/s', values: ratesOf(runs.recorded) },
    ratio(names.auditInserts, ratesOf(runs.recorded), ratesOf(runs.alone)),
    { what: names.auditPending, values: ratesOf(runs.pending) },
  ]
}

/** Takes what is pending. Returns events per second. */
async function drain({ client, sequencer }: Site): Promise<number> {
  const [row] = await client`SELECT count(*)::int AS count FROM audittrail_audit_pending`
  const began = performance.now()
  await sequencer.run()
  return Number(row?.count) / ((performance.now() - began) / 1000)
}

/** The time from an event's commit until a checkpoint covers it, while events come steadily. */
async function measureVisibility(site: Site): Promise<Row[]> {
  const rates = [await drain(site)]
  const committed = new Map<number, number>()
  const latencies: number[] = []
  const stop = site.sequencer.start()
  let [sent, seen] = [0, site.sequencer.state().size]
  const began = performance.now()
  const poll = async () => {
    const rows = await site.client`SELECT n::int AS n FROM audittrail_audit_events WHERE index >= ${seen}`
    seen += rows.length
    for (const { n } of rows) latencies.push(performance.now() - (committed.get(n) ?? Number.NaN))
  }
  const pending: Promise<void>[] = []
  while (sent < visibleRate * visibleSeconds || latencies.length < sent) {
    for (; sent < Math.min((visibleRate * (performance.now() - began)) / 1000, visibleRate * visibleSeconds); sent++) {
      const event = prepare(site, crypto.randomUUID())
      pending.push(
        site.database.audit.insertEvent(event.row).then(() => {
          committed.set(event.row.n, performance.now())
          site.recorder.settle([event], 'committed')
        }),
      )
    }
    await poll()
    await Bun.sleep(5)
  }
  await stop()
  const sorted = latencies.toSorted((one, other) => one - other)
  const quantile = (part: number) => (sorted[Math.floor(sorted.length * part)] ?? Number.NaN) / 1000
  return [
    { what: names.auditSequenced, values: rates },
    { what: 'event in a checkpoint at 200 events/s, p50, s', values: [quantile(0.5)] },
    { what: names.auditVisible, values: [quantile(0.99)] },
  ]
}

/** Fills the log up to the number of events to verify. */
async function measureLog(site: Site): Promise<Row[]> {
  const rates: number[] = []
  while (site.sequencer.state().size < logged) {
    const missing = Math.min(logged - site.sequencer.state().size, 20_000)
    const rows = Array.from({ length: missing }, () => prepare(site, crypto.randomUUID()))
    const given = rows.map(({ row: { mac, ...row } }) => ({ ...row, mac: mac.toString('hex') }))
    await site.client`
      INSERT INTO audittrail_audit_pending (process, n, leaf, by_private, about_private, mac)
      SELECT process, n, leaf, "byPrivate", "aboutPrivate", decode(mac, 'hex') FROM json_to_recordset(${JSON.stringify(given)}::text::json)
        AS given (process text, n bigint, leaf text, "byPrivate" text, "aboutPrivate" text, mac text)`
    site.recorder.settle(rows, 'committed')
    rates.push(await drain(site))
  }
  const [size] = await site.client`
    SELECT sum(pg_total_relation_size(relid))::float / (SELECT count(*) FROM audittrail_audit_events) AS bytes
    FROM pg_stat_user_tables WHERE relname IN ('audittrail_audit_events', 'audittrail_audit_nodes', 'audittrail_audit_checkpoints')`
  return [
    ...(rates.length > 0 ? [{ what: 'sequenced events/s, in a large log', values: rates }] : []),
    { what: names.auditStorage, values: [Number(size?.bytes) / 1000] },
  ]
}

/** `audit verify`, `audit export`, and both verifiers of the export, from exec to exit. */
async function measureVerification({ url }: Site): Promise<Row[]> {
  const environment = settingsFor(url)
  const directory = mkdtempSync(join(tmpdir(), 'audittrail-bench-'))
  const log = join(directory, 'log')
  const checking = [`--storage_url=file://${log}/`, `--public_key=${log}/log.vkey`, '--N=8', '--ui=false']
  try {
    return [
      ...(await measureProgram('verification', [binary, 'audit', 'verify'], environment)),
      ...(await measureProgram('export', [binary, 'audit', 'export', log], environment)),
      ...(await measureProgram(
        'offline verification',
        [binary, 'audit', 'verify', log, '--vkey', `${log}/log.vkey`],
        {},
      )),
      ...(existsSync(fsck) ? await measureProgram('fsck', [fsck, ...checking], {}) : []),
    ]
  } finally {
    rmSync(directory, { recursive: true })
  }
}

async function measureProgram(what: string, command: readonly string[], env: Record<string, string>): Promise<Row[]> {
  const began = performance.now()
  const child = Bun.spawn([...command], { env, stdio: ['ignore', 'inherit', 'inherit'] })
  let memory = 0
  const watch = setInterval(() => {
    memory = Math.max(memory, peakMemoryOf(child.pid) || 0)
  }, 10)
  await child.exited
  clearInterval(watch)
  const seconds = (performance.now() - began) / 1000
  return [
    { what: `${what} of ${logged} events, s`, values: [seconds] },
    { what: `${what} of ${logged} events, peak memory, MB`, values: [memory] },
  ]
}
