import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { parseLeaf } from '../../../src/domain/audit/leaf.ts'
import { createSequencer } from '../../../src/domain/audit/sequencer.ts'
import { verifyLog } from '../../../src/domain/auditVerification/verify.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { openReplica } from '../../replica.ts'

const pending = 'audittrail_audit_pending'

describe('the sequencer', () => {
  let application: TestApplication
  beforeEach(async () => {
    application = await openTestApplication('PostgreSQL')
  })
  afterEach(() => application.close())

  const sequencer = () => createSequencer(application.deps, true)
  const sql = (query: string) => application.sql(query)
  const verify = () =>
    verifyLog({ database: application.deps.database, keys: application.deps.audit.keys }, ({ problem }) => {
      throw new Error(problem)
    })

  test('takes the event of a transaction that was held open for a minute once it commits, with its old time', async () => {
    const running = sequencer()
    await application.login()
    await sql(`CREATE TABLE held AS TABLE ${pending} WITH NO DATA`)
    await sql(`INSERT INTO held SELECT * FROM ${pending} ORDER BY id DESC LIMIT 1`)
    await sql(`DELETE FROM ${pending} WHERE id IN (SELECT id FROM held)`)
    const commit = await application.hold(`INSERT INTO ${pending} OVERRIDING SYSTEM VALUE SELECT * FROM held`)
    await running.run()
    application.clock.now += 60_000
    for (let sign = 0; sign < 5; sign++) await application.login()
    await running.run()
    await commit()
    await running.run()
    const events = await application.deps.database.audit.listEvents({ from: 0, limit: 100 })
    const times = events.map(({ time }) => time.getTime())
    expect(events.at(-1)?.type).toBe('login.succeeded')
    expect(times.at(-1)).toBe(Math.max(...times) - 60_000)
    expect(running.state()).toMatchObject({ inconsistency: undefined, pending: 0 })
    expect((await verify()).findings).toBe(0)
  })

  test('two at once make one log without a gap or a copy', async () => {
    const replicas = [application.deps, openReplica(application).deps]
    const running = replicas.map((deps) => createSequencer(deps, true))
    for (let round = 0; round < 10; round++) {
      await Promise.all([application.login(), application.login(), ...running.map(({ run }) => run())])
    }
    for (const { run } of running) await run()
    const events = await application.deps.database.audit.listEvents({ from: 0, limit: 1000 })
    expect(events.map(({ index }) => index)).toEqual(events.map((_, index) => index))
    expect(events.filter(({ type }) => type === 'login.succeeded')).toHaveLength(20)
    for (const { state } of running) expect(state()).toMatchObject({ inconsistency: undefined, size: events.length })
    expect((await verify()).findings).toBe(0)
  })

  test('two at once without the lock make no fork and end', async () => {
    await sql(`CREATE FUNCTION public.pg_try_advisory_xact_lock(bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true'`)
    await sql(
      `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$`,
    )
    const running = [sequencer(), sequencer()]
    for (let round = 0; round < 5; round++) {
      await Promise.all([application.login(), application.login()])
      await Promise.allSettled(running.map(({ run }) => run()))
    }
    for (const { run } of running) await run()
    expect((await verify()).findings).toBe(0)
    expect(await sql(`SELECT FROM ${pending}`)).toHaveLength(0)
  })

  test.each([
    ['holds its lock', `SELECT pg_advisory_xact_lock(7022629598041763687)`],
    ['locks the pending rows', `SELECT FROM ${pending} FOR UPDATE`],
  ])('takes what is pending later while someone %s, and sign-ins go on', async (_, statement) => {
    const running = sequencer()
    await running.run()
    await application.login()
    const release = await application.hold(statement)
    await running.run()
    expect(running.state().pending).toBeGreaterThan(0)
    expect((await application.login()).status).toBe(200)
    await release()
    await running.run()
    expect(running.state().pending).toBe(0)
    expect((await verify()).findings).toBe(0)
  })

  test('that cannot write keeps no sign-in from succeeding, and catches up', async () => {
    const running = sequencer()
    await running.run()
    await sql('ALTER TABLE audittrail_audit_checkpoints RENAME TO elsewhere')
    for (let sign = 0; sign < 3; sign++) expect((await application.login()).status).toBe(200)
    expect(await running.run().catch(({ code }) => code)).toBeDefined()
    await sql('ALTER TABLE elsewhere RENAME TO audittrail_audit_checkpoints')
    await running.run()
    expect(running.state()).toMatchObject({ inconsistency: undefined, pending: 0 })
    expect((await verify()).findings).toBe(0)
  })

  test('reports an event that a trigger has deleted, with its leaf', async () => {
    const running = sequencer()
    await sql(`CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN DELETE FROM ${pending} WHERE id = NEW.id; RETURN NULL; END $$;
      CREATE TRIGGER swallow AFTER INSERT ON ${pending} FOR EACH ROW EXECUTE FUNCTION swallow()`)
    expect((await application.login()).status).toBe(200)
    await sql(`DROP TRIGGER swallow ON ${pending}`)
    application.clock.now += 31_000
    await running.run()
    const [line] = application.lines.filter(({ event }) => event === 'audit.missing')
    expect(parseLeaf(String(line?.leaf))?.type).toBe('login.succeeded')
    await application.login()
    await running.run()
    await expect(verify()).rejects.toThrow(/was removed/)
  })
})

describe.each(databaseKinds)('hostile text in the audit log on %s', (kind) => {
  const texts: readonly (readonly [string, string])[] = [
    ['a line separator', 'a\u2028b\u2029c'],
    ['quotes and a backslash', `'"\\\\u0000$1`],
    ['4 KB of emoji', '🙈'.repeat(1024)],
    ['half an emoji at the limit', `${'x'.repeat(255)}🙈`],
    ['a right-to-left mark', '\u202eadmin'],
  ]

  test('user agents and unknown usernames are stored and verified as they were hashed', async () => {
    const application = await openTestApplication(kind)
    try {
      const running = createSequencer(application.deps, false)
      for (const [, text] of texts) {
        application.clock.now += 20 * 60_000
        const headers = { 'user-agent': encodeURIComponent(text).slice(0, 4000) }
        const body = new URLSearchParams({ username: `x${text}`, password: 'wrong' })
        expect((await application.call('/auth/login', { method: 'POST', body, headers })).status).toBe(401)
        const deps = { ...application.deps, source: { agent: text, request: text } }
        await deps.database.withEvents(
          async () => undefined,
          () => [deps.audit.prepare({ event: { event: 'login.throttled', address: text } }, deps.source).row],
        )
        for (const raw of ['\0', '\ud800', '\udfff\ud800']) {
          const row = deps.audit.prepare(
            { event: { event: 'server.stopped' }, by: { kind: 'user', username: raw + text } },
            deps.source,
          )
          await deps.database.audit.insertEvent(row.row)
        }
      }
      await running.run()
      expect(running.state()).toMatchObject({ inconsistency: undefined, pending: 0, refused: 0 })
      const { database, audit } = application.deps
      const found: string[] = []
      await verifyLog({ database, keys: audit.keys }, ({ problem }) => found.push(problem))
      expect(found).toEqual([])
      const listed = await database.audit.listEvents({ type: 'server.stopped', limit: 100 })
      const names = listed.map(({ by_private }) => JSON.parse(by_private ?? '{}').username)
      expect(names).toContain(`\ud800${texts[0]?.[1]}`)
    } finally {
      await application.close()
    }
  })
})
