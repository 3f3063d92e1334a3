import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Anchors, createAnchors } from '../../../src/app/anchors/anchors.ts'
import { createSequencer, type Sequencer } from '../../../src/domain/audit/sequencer.ts'
import { type KeptCheckpoint, readKeptNotes } from '../../../src/domain/witnesses/keptNotes.ts'
import { type DatabaseKind, openTestApplication, type TestApplication } from '../../application.ts'
import { temporaryDirectory } from '../../endOfFile.ts'
import { openReplica } from '../../replica.ts'

const tables = ['events', 'nodes', 'checkpoints', 'state', 'pending'].map((name) => `audittrail_audit_${name}`)

/** A server that starts: its memory is empty, and it has only the file. */
export interface AnchoredServer {
  readonly anchors: Anchors
  readonly sequencer: Sequencer
  /** Keeps the head, as every minute. */
  keep(): Promise<void>
}

/** A log whose servers keep their heads in a file. */
export interface AnchoredLog {
  readonly application: TestApplication
  readonly path: string
  /** Records of the first start. */
  readonly first: number
  readonly clock: { now: number }
  start(file?: string): AnchoredServer
  /** Records events. */
  fail(count: number): Promise<void>
  /** Records events, keeps the head as a server does when it stops, and returns the server. */
  record(count: number, server?: AnchoredServer): Promise<AnchoredServer>
  kept(): Promise<KeptCheckpoint[]>
  /** The records above those of the first start that each kept checkpoint covers. */
  sizes(): Promise<number[]>
  inconsistency(server?: AnchoredServer): Promise<string | undefined>
  failures(): Record<string, unknown>[]
  /** Saves the log, which `restore` brings back. */
  save(): Promise<void>
  restore(): Promise<void>
  empty(): Promise<void>
}

export async function openAnchoredLog(kind: DatabaseKind): Promise<AnchoredLog> {
  const application = await openTestApplication(kind)
  const seeding = createSequencer(application.deps, true)
  await seeding.run()
  const clock = { now: 0 }
  const path = join(temporaryDirectory('anchors'), 'checkpoints')

  const log: AnchoredLog = {
    application,
    path,
    clock,
    first: seeding.state().size,
    start: (file = path) => {
      const { deps } = openReplica(application, { secretKeys: application.deps.settings.keys.secretKeys() })
      const anchors = createAnchors(file, { log: application.deps.log, monotonicClock: () => clock.now })
      const sequencer = createSequencer({ ...deps, readAnchor: anchors.readAnchor }, true)
      return { anchors, sequencer, keep: () => anchors.start(sequencer.signedHead)() }
    },
    fail: async (count) => {
      for (let index = 0; index < count; index++) {
        application.clock.now += 20 * 60_000
        const { status } = await application.login('admin', 'wrong')
        if (status !== 401) throw new Error(`a failed sign-in returned ${status}`)
      }
    },
    record: async (count, server = log.start()) => {
      await log.fail(count)
      await server.sequencer.run()
      await server.keep()
      return server
    },
    kept: async () => {
      const found: KeptCheckpoint[] = []
      for await (const checkpoint of readKeptNotes(readFileSync(path, 'utf8').split('\n'))) found.push(checkpoint)
      return found
    },
    sizes: async () => (await log.kept()).map(({ size }) => size - log.first),
    inconsistency: async (server = log.start()) => {
      await server.sequencer.run()
      return server.sequencer.state().inconsistency
    },
    failures: () => application.lines.filter(({ event }) => event === 'audit.checkpoint_file_failed'),
    save: async () => {
      for (const table of tables) await application.sql(`CREATE TABLE saved_${table} AS TABLE ${table}`)
    },
    restore: async () => {
      await log.empty()
      for (const table of tables)
        await application.sql(`INSERT INTO ${table} OVERRIDING SYSTEM VALUE TABLE saved_${table}`)
    },
    empty: async () => {
      await application.sql(`TRUNCATE ${tables.join()}`)
    },
  }
  return log
}
