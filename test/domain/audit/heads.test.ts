import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { acceptRestored } from '../../../src/domain/audit/restored.ts'
import { createSequencer, type Sequencer } from '../../../src/domain/audit/sequencer.ts'
import { verifyLog } from '../../../src/domain/auditVerification/verify.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { until } from '../../condition.ts'
import { openReplica } from '../../replica.ts'

/** In the order in which a sequencer locks them. */
const tables = ['state', 'checkpoints', 'events', 'nodes', 'pending'] as const

describe.each(databaseKinds)('the newest head that a server has seen, on %s', (kind) => {
  let application: TestApplication
  let sequencer: Sequencer
  beforeEach(async () => {
    application = await openTestApplication(kind)
    sequencer = createSequencer(application.deps, true)
    await fail(3)
    await sequencer.run()
  })
  afterEach(() => application.close())

  const sql = (query: string) => application.sql(query)
  const all = (...names: readonly (typeof tables)[number][]) => names.map((name) => `audittrail_audit_${name}`).join()
  const truncate = () => sql(`TRUNCATE ${all(...tables)}`)
  const save = async (name: string) => {
    for (const table of tables) await sql(`CREATE TABLE ${name}_${table} AS TABLE ${all(table)}`)
  }
  const restore = async (name: string) => {
    await truncate()
    for (const table of tables) await sql(`INSERT INTO ${all(table)} OVERRIDING SYSTEM VALUE TABLE ${name}_${table}`)
  }
  const origin = async () => (await sql(`SELECT origin FROM ${all('state')}`))[0]?.origin
  const isAllTaken = async () => (await sql(`SELECT FROM ${all('pending')} LIMIT 1`)).length === 0
  const size = async () => (await sql(`SELECT count(*)::int AS count FROM ${all('events')}`))[0]?.count

  async function fail(count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      application.clock.now += 20 * 60_000
      await application.login('admin', 'wrong')
    }
  }

  /** Another process, which remembers nothing. */
  function openOther() {
    const { deps } = openReplica(application, { secretKeys: application.deps.settings.keys.secretKeys() })
    return { deps, sequencer: createSequencer(deps, true) }
  }

  async function problems(): Promise<string[]> {
    const found: string[] = []
    const { database, audit } = application.deps
    await verifyLog({ database, keys: audit.keys }, ({ problem }) => found.push(problem))
    return found
  }

  test('is not continued after another process has signed on top of an older copy', async () => {
    await save('old')
    await fail(2)
    await sequencer.run()
    await restore('old')
    await fail(4)
    await openOther().sequencer.run()
    const before = await size()
    for (let run = 0; run < 3; run++) {
      await fail(1)
      await sequencer.run()
      const { missing } = sequencer.state()
      expect(sequencer.state()).toMatchObject({ inconsistency: 'rewritten', pending: run + 1 + missing })
    }
    expect(await size()).toBe(before)
    await acceptRestored(application.deps)
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({ inconsistency: undefined, pending: 0 })
  })

  test.each([
    ['its tables emptied', `TRUNCATE ${all('events', 'nodes', 'checkpoints')}`],
    ['all tables emptied', `TRUNCATE ${all('events', 'nodes', 'checkpoints', 'state')}`],
    [
      'its tables emptied and another name',
      `TRUNCATE ${all('events', 'nodes', 'checkpoints')}; UPDATE ${all('state')} SET origin = 'x'`,
    ],
    [
      'all tables emptied and the name of a successor',
      `TRUNCATE ${all('events', 'nodes', 'checkpoints')}; UPDATE ${all('state')} SET origin = origin || '/r20991231235959999'`,
    ],
    ['another name', `UPDATE ${all('state')} SET origin = 'x'`],
    ['the name of a successor', `UPDATE ${all('state')} SET origin = origin || '/r20991231235959999'`],
  ])('is not continued with %s', async (_, change) => {
    for (const statement of change.split('; ')) await sql(statement)
    const before = await size()
    await fail(1)
    await sequencer.run()
    expect(sequencer.state().inconsistency).toBeDefined()
    expect(await size()).toBe(before)
    expect((await application.login()).status).toBe(200)
  })

  test('is compared by an idle process that only polls, also if a new one has continued an older copy', async () => {
    const idle = openOther()
    const active = openOther()
    const stop = idle.sequencer.start(20)
    try {
      await save('old')
      await fail(2)
      // While the idle one reads the head, a run does nothing.
      await until(async () => {
        await sequencer.run()
        const head = sequencer.state()
        return (await isAllTaken()) && idle.sequencer.state().size === head.size
      })
      await restore('old')
      // Copying one table after the other takes several polls, which may find something else.
      await until(() => idle.sequencer.state().inconsistency === 'rolled_back')
      await fail(4)
      await active.sequencer.run()
      await until(() => idle.sequencer.state().inconsistency === 'rewritten')
    } finally {
      await stop()
    }
  })

  test('that no process has seen is not missed, and verification says so', async () => {
    await save('old')
    await fail(2)
    await sequencer.run()
    await restore('old')
    const fresh = openOther()
    await fresh.sequencer.run()
    expect(fresh.sequencer.state().inconsistency).toBeUndefined()
    const { database, audit } = fresh.deps
    const { findings, notes } = await verifyLog({ database, keys: audit.keys }, () => {})
    expect({ findings, last: notes.at(-1) }).toEqual({
      findings: 0,
      last: 'not ruled out, because nothing outside of the database was given: a tail that was cut while every server was stopped, an older copy that was restored then, and a rewrite with SECRET_KEY',
    })
  })

  test('a log that was emptied, but has its name, is not begun again by a new process', async () => {
    await sql(`TRUNCATE ${all('events', 'nodes', 'checkpoints')}`)
    const { sequencer: restarted } = openOther()
    await fail(1)
    await restarted.run()
    expect(restarted.state().inconsistency).toBe('emptied')
    expect(await size()).toBe(0)
  })

  test('is followed through an accepted restore of nothing', async () => {
    const first = await origin()
    await truncate()
    await fail(1)
    await sequencer.run()
    expect(sequencer.state().inconsistency).toBe('rolled_back')
    const accepted = await acceptRestored(application.deps)
    expect(accepted).toEqual({ origin: expect.stringMatching(/\/r\d{17}$/), size: 0 })
    expect(accepted.origin).toStartWith(`${first}/`)
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({
      inconsistency: undefined,
      size: 2 + sequencer.state().missing,
      pending: 0,
    })
    expect(await problems()).toEqual([])
  })

  test('has another name after each accepted restore, also of one older copy', async () => {
    await save('old')
    await fail(1)
    await sequencer.run()
    await restore('old')
    const { origin: second } = await acceptRestored(application.deps)
    await sequencer.run()
    await restore('old')
    await fail(1)
    const { origin: third } = await acceptRestored(application.deps)
    expect(third).not.toBe(second)
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({ inconsistency: undefined, pending: 0 })
  })

  test('is not continued from a restore that was accepted before a later one', async () => {
    await save('old')
    await acceptRestored(application.deps)
    await openOther().sequencer.run()
    await save('abandoned')
    await restore('old')
    await fail(1)
    await acceptRestored(application.deps)
    await sequencer.run()
    expect(sequencer.state().inconsistency).toBeUndefined()
    await restore('abandoned')
    await sequencer.run()
    expect(sequencer.state().inconsistency).toBe('rolled_back')
  })

  test('stays consistent if the log is accepted while other processes add to it', async () => {
    const others = [openOther().sequencer, openOther().sequencer]
    for (let round = 0; round < 10; round++) {
      await fail(1)
      await Promise.all([...others.map((other) => other.run()), acceptRestored(application.deps), sequencer.run()])
    }
    for (const each of [sequencer, ...others]) {
      await each.run()
      expect(each.state()).toMatchObject({ inconsistency: undefined, pending: 0 })
    }
    expect(await problems()).toEqual([])
  })

  test('is continued by a command only with events of the command', async () => {
    const { deps, sequencer: command } = openOther()
    const record = () =>
      deps.database.audit.insertEvent(deps.audit.prepare({ event: { event: 'server.stopped' } }, undefined).row)
    const pending = async () => (await sql(`SELECT FROM ${all('pending')}`)).length
    await record()
    await command.runOwn()
    expect(await pending()).toBe(0)
    await fail(1)
    await record()
    await command.runOwn()
    expect(await pending()).toBe(2)
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({ inconsistency: undefined, pending: 0 })
  })

  test('concurrent runs leave no false alarm, and take every event', async () => {
    for (let round = 0; round < 10; round++) {
      await Promise.all([fail(1), sequencer.run(), sequencer.run(), sequencer.run()])
      expect(sequencer.state().inconsistency).toBeUndefined()
    }
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({ inconsistency: undefined, pending: 0, size: await size() })
  })
})
