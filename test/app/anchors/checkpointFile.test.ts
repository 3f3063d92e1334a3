import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createAnchors } from '../../../src/app/anchors/anchors.ts'
import { acceptRestored } from '../../../src/domain/audit/restored.ts'
import { createSequencer } from '../../../src/domain/audit/sequencer.ts'
import { databaseKinds, type TestApplication } from '../../application.ts'
import { until } from '../../condition.ts'
import { temporaryDirectory } from '../../endOfFile.ts'
import { openReplica } from '../../replica.ts'
import { type AnchoredLog, openAnchoredLog } from './anchoredLog.ts'

describe.each(databaseKinds)('AUDIT_CHECKPOINT_FILE, on %s', (kind) => {
  let log: AnchoredLog
  let application: TestApplication
  let path: string
  let first: number
  beforeEach(async () => {
    log = await openAnchoredLog(kind)
    ;({ application, path, first } = log)
  })
  afterEach(() => application.close())

  test('gets each new head once, as its signed note', async () => {
    const server = await log.record(2)
    await server.keep()
    await log.record(1, server)
    const stored = await application.sql(
      `SELECT note FROM audittrail_audit_checkpoints WHERE size > ${first} ORDER BY size`,
    )
    expect((await log.kept()).map(({ note }) => note)).toEqual(stored.map(({ note }) => String(note)))
    expect(await log.sizes()).toEqual([2, 3])
    expect(server.anchors.state()).toEqual({ size: first + 3, lateSince: undefined })
  })

  test('gets the first head within seconds, without a stop', async () => {
    const { anchors, sequencer } = log.start()
    await log.fail(1)
    await sequencer.run()
    const stop = anchors.start(sequencer.signedHead)
    await until(() => existsSync(path) && statSync(path).size > 0)
    expect(await log.sizes()).toEqual([1])
    await stop()
  })

  test('logs each kept head with the whole note, also without a file', async () => {
    const { sequencer } = await log.record(2)
    const anchors = createAnchors(undefined, { log: application.deps.log, monotonicClock: () => log.clock.now })
    await anchors.start(sequencer.signedHead)()
    const lines = application.lines.filter(({ event }) => event === 'audit.checkpoint')
    const [{ note, size } = { note: '', size: 0 }] = await log.kept()
    expect(lines.map((line) => [line.size, line.note])).toEqual([
      [size, note],
      [size, note],
    ])
  })

  test('finds an older copy of the log that was restored while every server was stopped', async () => {
    await log.record(2)
    await log.save()
    await log.record(2)
    await log.restore()
    expect(await log.inconsistency()).toBe('rolled_back')
    const before = await application.sql('SELECT count(*)::int AS count FROM audittrail_audit_events')
    await log.fail(1)
    expect(await log.inconsistency()).toBe('rolled_back')
    expect(await application.sql('SELECT count(*)::int AS count FROM audittrail_audit_events')).toEqual(before)
    expect(await log.sizes()).toEqual([2, 4])
  })

  test('finds an older copy to which another server has added since', async () => {
    await log.record(2)
    await log.save()
    await log.record(2)
    await log.restore()
    await log.fail(5)
    await createSequencer(application.deps, true).run()
    expect(await log.inconsistency()).toBe('rewritten')
  })

  test('finds a log that was emptied, and one that begins again', async () => {
    await log.record(2)
    await log.empty()
    expect(await log.inconsistency()).toBe('rolled_back')
    await log.fail(3)
    await createSequencer(application.deps, true).run()
    expect(await log.inconsistency()).toBe('rewritten')
  })

  test('continues a restored log that was accepted', async () => {
    await log.record(2)
    await log.save()
    await log.record(2)
    await log.restore()
    expect(await log.inconsistency()).toBe('rolled_back')
    await acceptRestored(application.deps)
    const server = log.start()
    expect(await log.inconsistency(server)).toBeUndefined()
    await log.record(1, server)
    const last = (await log.kept()).at(-1)
    expect(last).toMatchObject({ size: first + 4, origin: expect.stringMatching(/\/r\d{17}$/) })
    expect(await log.inconsistency()).toBeUndefined()
  })

  test('belongs to one log: another one does not continue it', async () => {
    await log.record(1)
    writeFileSync(path, readFileSync(path, 'utf8').replace(/^.*\n/, 'auth.example.com/api/audit/log\n'))
    expect(await log.inconsistency()).toBe('renamed')
  })

  test('is continued over 300 records and a complete tile', async () => {
    await log.record(1)
    const { deps } = openReplica(application, { secretKeys: application.deps.settings.keys.secretKeys() })
    const events = Array.from({ length: 300 }, (_, at) =>
      deps.audit.prepare({ event: { event: 'audit.suppressed', type: 'x', count: at } }, undefined),
    )
    for (const { row } of events) await deps.database.audit.insertEvent(row)
    deps.audit.settle(events, 'committed')
    expect(await log.inconsistency()).toBeUndefined()
    await log.record(1)
    expect((await log.sizes()).at(-1)).toBeGreaterThan(300)
    expect(await log.inconsistency()).toBeUndefined()
  })

  test('is continued after a crash in the middle of a note', async () => {
    await log.record(2)
    const whole = readFileSync(path, 'utf8')
    for (const length of [whole.length - 1, whole.length - 20, whole.indexOf('\n\n') + 1, 30]) {
      writeFileSync(path, whole + whole.slice(0, length))
      expect(await log.inconsistency()).toBeUndefined()
      await log.record(1)
      expect((await log.kept()).at(-1)?.size).toBeGreaterThan(first + 2)
    }
  })

  test('ignores what is no note', async () => {
    await log.record(2)
    appendFileSync(path, `\n\nno\nnote\n\n— x y\n\n${'a'.repeat(100_000)}\n\n`)
    await log.record(1)
    expect(await log.sizes()).toEqual([2, 3])
  })

  test('is begun again with the newest head after it was moved', async () => {
    const server = log.start()
    await log.fail(1)
    await server.sequencer.run()
    const stop = server.anchors.start(server.sequencer.signedHead)
    await until(() => server.anchors.state().size === first + 1)
    renameSync(path, `${path}.1`)
    await stop()
    expect(await log.sizes()).toEqual([1])
  })

  test('is appended to by one process only', async () => {
    const running = log.start()
    await log.fail(1)
    await running.sequencer.run()
    const stop = running.anchors.start(running.sequencer.signedHead)
    await until(() => running.anchors.state().size === first + 1)
    const second = await log.record(1)
    expect(second.anchors.state()).toEqual({ size: first + 1, lateSince: log.clock.now })
    expect(log.failures()).toEqual([expect.objectContaining({ message: 'Another process appends to this file.' })])
    await stop()
    await log.record(1, second)
    expect(second.anchors.state().lateSince).toBeUndefined()
  })

  test.each([
    ['is in a directory that does not exist', () => join(path, 'none'), 'Error'],
    ['is a directory', () => temporaryDirectory('anchors'), 'It is not a file.'],
    ['is a device', () => '/dev/full', 'It is not a file.'],
  ])('does not hold up sign-ins and the log if it %s', async (_, file, problem) => {
    const server = log.start(file())
    await log.record(2, server)
    expect(server.sequencer.state()).toMatchObject({ size: first + 2, inconsistency: undefined, pending: 0 })
    expect(server.anchors.state()).toEqual({ size: undefined, lateSince: log.clock.now })
    expect(log.failures()).toHaveLength(1)
    expect(JSON.stringify(log.failures()[0])).toContain(problem)
    log.clock.now += 60_000
    await server.keep()
    expect(log.failures()).toHaveLength(2)
  })

  test('gets the head that it lacks once it can be written', async () => {
    const directory = join(path, 'mounted')
    const server = await log.record(1, log.start(join(directory, 'file')))
    expect(server.anchors.state().size).toBeUndefined()
    mkdirSync(directory, { recursive: true })
    await server.keep()
    expect(server.anchors.state()).toEqual({ size: first + 1, lateSince: undefined })
  })

  test('is compared with the log as soon as it can be read', async () => {
    await log.record(2)
    await log.save()
    await log.record(2)
    await log.restore()
    const moved = `${path}.moved`
    renameSync(path, moved)
    mkdirSync(path)
    const server = log.start()
    expect(await log.inconsistency(server)).toBeUndefined()
    expect(log.failures()).toHaveLength(1)
    renameSync(path, `${path}.directory`)
    renameSync(moved, path)
    expect(await log.inconsistency(server)).toBe('rolled_back')
  })
})
