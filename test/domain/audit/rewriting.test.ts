import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createAuditKeys } from '../../../src/domain/audit/auditKeys.ts'
import { createSequencer, type Sequencer } from '../../../src/domain/audit/sequencer.ts'
import { verifyLog } from '../../../src/domain/auditVerification/verify.ts'
import { writeCheckpoint } from '../../../src/domain/transparency/checkpoint.ts'
import { appendLeaves, emptyEdge, hashLeaf, rootOf } from '../../../src/domain/transparency/tree.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { problemsOf } from '../auditProblems.ts'

const origin = 'audittrail/test'
const events = 'audittrail_audit_events'
const checkpoints = 'audittrail_audit_checkpoints'

describe('an audit log that someone with SQL access rewrites', () => {
  let application: TestApplication
  let sequencer: Sequencer
  beforeEach(async () => {
    application = await openTestApplication('PostgreSQL')
    sequencer = createSequencer(application.deps, true)
    await failures(8)
    await sequencer.run()
  })
  afterEach(() => application.close())

  const sql = (query: string) => application.sql(query)

  async function failures(count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      application.clock.now += 20 * 60_000
      await application.login('admin', 'wrong')
    }
  }

  const problems = () => problemsOf(application)

  /** Changes leaves, and recomputes every hash, seal, node, root and signature with another key. */
  async function rewrite(change: (leaf: string, index: number) => string): Promise<void> {
    const keys = createAuditKeys(() => ({ current: 'another key of 32 bytes or more!', previous: [] }))
    const rows = await sql(`SELECT index::int AS index, leaf FROM ${events} ORDER BY index`)
    const leaves = rows.map(({ leaf }, index) => change(String(leaf), index))
    for (const [index, leaf] of leaves.entries()) {
      const hash = hashLeaf(leaf)
      await sql(`UPDATE ${events} SET leaf = '${leaf}', hash = decode('${hash.toString('hex')}', 'hex'),
        seal = decode('${keys.sealOf(index, hash).toString('hex')}', 'hex') WHERE index = ${index}`)
    }
    for (const { size } of await sql(`SELECT size::int AS size FROM ${checkpoints}`)) {
      const root = rootOf(appendLeaves(emptyEdge, leaves.slice(0, Number(size)).map(hashLeaf)).edge)
      const note = writeCheckpoint({ origin, size: Number(size), root }, keys.signersFor(origin))
      await sql(
        `UPDATE ${checkpoints} SET root = decode('${root.toString('hex')}', 'hex'), note = '${note}' WHERE size = ${size}`,
      )
    }
  }

  test('rewritten as a whole without SECRET_KEY, it is named from the first record on, and not continued', async () => {
    await rewrite((leaf) => leaf)
    const found = await problems()
    expect(found[0]).toBe('0: was edited or inserted: its seal does not fit')
    expect(found).toContainEqual(expect.stringContaining('was not signed by this service'))
    await failures(1)
    const restarted = createSequencer(application.deps, true)
    await restarted.run()
    expect(restarted.state().inconsistency).toBe('signature')
    await sequencer.run()
    expect(sequencer.state().inconsistency).toBe('signature')
  })

  test('an edited record with all hashes and nodes recomputed is named after a restart, and not signed', async () => {
    const [{ size, root, note } = {}] = await sql(
      `SELECT size::int AS size, encode(root, 'hex') AS root, note FROM ${checkpoints} ORDER BY ${checkpoints}.size DESC LIMIT 1`,
    )
    await rewrite((leaf, index) => (index === 5 ? leaf.replace('wrong_password', 'unknown_user') : leaf))
    // The signature cannot be made, so the former one stays.
    await sql(`UPDATE ${checkpoints} SET root = decode('${root}', 'hex'), note = '${note}' WHERE size = ${size}`)
    await failures(1)
    const restarted = createSequencer(application.deps, true)
    await restarted.run()
    expect(restarted.state().inconsistency).toBe('root')
    expect(await sql('SELECT FROM audittrail_audit_pending')).toHaveLength(1)
    expect(await problems()).toContain('5: was edited or inserted: its seal does not fit')
    expect((await application.login()).status).toBe(200)
  })

  test('an older copy under a running service stops it, and the lost events are named', async () => {
    for (const name of ['events', 'nodes', 'checkpoints', 'pending'])
      await sql(`CREATE TABLE saved_${name} AS TABLE audittrail_audit_${name}`)
    await failures(3)
    await sequencer.run()
    await sql(`TRUNCATE ${events}, ${checkpoints}, audittrail_audit_nodes, audittrail_audit_pending`)
    for (const name of ['events', 'nodes', 'checkpoints'])
      await sql(`INSERT INTO audittrail_audit_${name} TABLE saved_${name}`)
    await failures(1)
    await sequencer.run()
    // The last event that was lost is recorded as missing.
    expect(sequencer.state()).toMatchObject({ inconsistency: 'rolled_back', pending: 2, missing: 1 })
    const found = await problems()
    expect(found).toHaveLength(3)
    expect(found.every((problem) => /^event \d+ of process \w+ was removed after index \d+$/.test(problem))).toBe(true)
    expect((await application.login()).status).toBe(200)
  })

  test('an older copy is noticed even if a restarted replica continues it', async () => {
    const { size } = sequencer.state()
    await failures(3)
    await sequencer.run()
    await sql(`DELETE FROM ${events} WHERE index >= ${size}`)
    await sql(`DELETE FROM ${checkpoints} WHERE size > ${size}`)
    await failures(4)
    await createSequencer(application.deps, true).run()
    await sequencer.run()
    expect(sequencer.state().inconsistency).toBe('rewritten')
  })

  test('cut at its end while no server runs, it verifies, with a note of what is not ruled out', async () => {
    await failures(2)
    const last = (await sql(`SELECT count(*)::int AS count FROM ${events}`))[0]?.count
    await createSequencer(application.deps, true).run()
    await sql(`DELETE FROM ${events} WHERE index >= ${last}`)
    await sql(`DELETE FROM ${checkpoints} WHERE size > ${last}`)
    const { database, audit } = application.deps
    const { findings, notes } = await verifyLog({ database, keys: audit.keys }, () => {})
    expect(findings).toBe(0)
    expect(notes.join()).toContain('a tail that was cut while every server was stopped')
  })

  test.each([
    ['emptied', `TRUNCATE ${events}, ${checkpoints}, audittrail_audit_nodes`],
    ['given the former name', `UPDATE audittrail_audit_state SET origin = 'other'`],
    ['given a checkpoint of its size', `UPDATE ${checkpoints} SET size = 1000`],
  ])('%s under a running service, it is not continued', async (_, change) => {
    await sql(change)
    await failures(1)
    await sequencer.run()
    expect(sequencer.state().inconsistency).toBeDefined()
    expect((await application.login()).status).toBe(200)
  })
})
