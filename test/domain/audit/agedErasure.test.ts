import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createSequencer, type Sequencer } from '../../../src/domain/audit/sequencer.ts'
import { createAgedErasure } from '../../../src/domain/retention/eraseAged.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { problemsOf } from '../auditProblems.ts'

const hour = 3_600_000
const day = 24 * hour

describe.each(databaseKinds)('erasing old personal data from the audit log on %s', (kind) => {
  let application: TestApplication
  let sequencer: Sequencer
  beforeEach(async () => {
    application = await openTestApplication(kind)
    sequencer = createSequencer(application.deps, true)
    // The middle of an hour: whole hours are erased.
    application.clock.now = Math.ceil(application.clock.now / hour) * hour + hour / 2
    await application.login('admin', 'wrong')
    await application.login('a stranger', 'wrong')
    await sequencer.run()
  })
  afterEach(() => application.close())

  const texts = async () => {
    const [row] = await application.sql(
      'SELECT count(by_private)::int + count(about_private)::int AS count FROM audittrail_audit_events WHERE type = $$login.failed$$',
    )
    return row?.count
  }
  const erasures = async () =>
    (await application.deps.database.audit.listEvents({ type: 'audit.erased', from: 0, limit: 100 })).map(({ leaf }) =>
      JSON.parse(leaf),
    )

  test('includes usernames that strangers entered, and records it once', async () => {
    const erase = createAgedErasure(application.deps, 30, () => false)
    application.clock.now += 30 * day
    await erase()
    expect(await texts()).toBe(3)
    application.clock.now += hour
    expect(await erase()).toBe(2)
    expect(await erase()).toBe(0)
    application.clock.now += hour
    expect(await erase()).toBe(0)
    expect(await texts()).toBe(0)
    expect(await problemsOf(application)).toEqual([])
    await sequencer.run()
    expect(await problemsOf(application)).toEqual([])
    const facts = (await erasures()).at(-1)?.facts
    expect(facts).toMatchObject({ erased: 2, below: 4, older_than: expect.stringMatching(/:00:00\.000Z$/) })
  })

  test('leaves what is younger, and erases it later', async () => {
    const erase = createAgedErasure(application.deps, 30, () => false)
    application.clock.now += 15 * day
    await application.login('admin', 'wrong')
    await sequencer.run()
    application.clock.now += 16 * day
    await erase()
    expect(await texts()).toBe(2)
    application.clock.now += 16 * day
    expect(await erase()).toBe(1)
    await sequencer.run()
    expect(await problemsOf(application)).toEqual([])
  })

  test('does nothing for 0 days', async () => {
    const erase = createAgedErasure(application.deps, 0, () => false)
    application.clock.now += 10_000 * day
    expect(await erase()).toBe(0)
  })

  test('does not excuse texts that are removed by SQL', async () => {
    const erase = createAgedErasure(application.deps, 30, () => false)
    application.clock.now += 31 * day
    await erase()
    await application.login('admin', 'wrong')
    await sequencer.run()
    await application.sql(`UPDATE audittrail_audit_events SET by_private = NULL WHERE type = 'login.failed'`)
    expect(await problemsOf(application)).toEqual([expect.stringMatching(/^\d+: had its by_private removed$/)])
  })

  test('does not excuse texts of records whose time was changed for it', async () => {
    const erase = createAgedErasure(application.deps, 30, () => false)
    await application.sql(
      `UPDATE audittrail_audit_events SET time = time - interval '40 days' WHERE about_id IS NOT NULL AND type = 'login.failed'`,
    )
    await erase()
    await application.sql(
      `UPDATE audittrail_audit_events SET time = time + interval '40 days' WHERE about_id IS NOT NULL AND type = 'login.failed'`,
    )
    expect(await problemsOf(application)).toEqual([
      expect.stringMatching(/^\d+: had its by_private removed$/),
      expect.stringMatching(/^\d+: had its about_private removed$/),
    ])
  })
})
