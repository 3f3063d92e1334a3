import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { acceptRestored } from '../../../src/domain/audit/restored.ts'
import { createSequencer, type Sequencer } from '../../../src/domain/audit/sequencer.ts'
import { exportLog } from '../../../src/domain/publishedLog/exportLog.ts'
import { logKeys } from '../../../src/domain/publishedLog/published.ts'
import { writeCheckpoint } from '../../../src/domain/transparency/checkpoint.ts'
import { appendLeaves, emptyEdge, emptyRoot, hashLeaf, rootOf } from '../../../src/domain/transparency/tree.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { createTestWitness } from '../witnesses/testWitness.ts'
import type { Files } from './sampleLog.ts'
import { resultOf, verify } from './verifying.ts'

const events = 'audittrail_audit_events'
const minutes = 20

describe('an export of a log of this service', () => {
  let application: TestApplication
  let sequencer: Sequencer
  const sql = (query: string) => application.sql(query)

  beforeEach(async () => {
    application = await openTestApplication('PostgreSQL')
    sequencer = createSequencer(application.deps, true)
    await application.accessToken()
    for (let count = 0; count < 6; count++) await fail(`wrong ${count}`)
  })
  afterEach(() => application.close())

  async function fail(password: string): Promise<void> {
    application.clock.now += minutes * 60_000
    await application.login('admin', password)
    await sequencer.run()
  }

  async function exported(): Promise<{ readonly files: Files; readonly vkeys: readonly string[] }> {
    const { current, former } = await logKeys(application.deps)
    const files: Files = new Map()
    for await (const { path, content } of exportLog(application.deps, 'command line', { personal: true }))
      files.set(path, Buffer.concat([files.get(path) ?? Buffer.alloc(0), content]))
    return { files, vkeys: [current, ...former] }
  }

  const findings = async () => (await resultOf(await exported())).findings

  test('is intact, and continues the checkpoints before it', async () => {
    const before = await exported()
    await fail('wrong again')
    const checkpoints = [String(before.files.get('checkpoint'))]
    expect(await verify({ ...(await exported()), checkpoints })).toMatchObject({ findings: 0, notes: [] })
  })

  test('names a record that was edited with its hash', async () => {
    const [row] = await sql(
      `SELECT replace(leaf, 'wrong_password', 'unknown_user') AS leaf FROM ${events} WHERE index = 5`,
    )
    const leaf = String(row?.leaf)
    const hash = createHash('sha256').update('\0').update(leaf).digest('hex')
    await sql(`UPDATE ${events} SET leaf = '${leaf}', hash = decode('${hash}', 'hex') WHERE index = 5`)
    expect(await findings()).toEqual([
      expect.stringMatching(/^kept checkpoint \d+ \(size \d+\) does not fit the records: the change is in record 5$/),
    ])
  })

  test('names a record that was edited without its hash', async () => {
    await sql(`UPDATE ${events} SET leaf = replace(leaf, 'wrong_password', 'unknown_user') WHERE index = 5`)
    expect(await findings()).toEqual([expect.stringMatching(/^record 5 \(\S+ login\.failed\) was edited$/)])
  })

  test('names an event that was deleted before it reached the log', async () => {
    application.clock.now += minutes * 60_000
    await application.login('admin', 'deleted')
    await sql('DELETE FROM audittrail_audit_pending')
    await fail('after it')
    expect(await findings()).toEqual([
      expect.stringMatching(/^event \d+ of process \w+ was removed between the indexes \d+ and \d+$/),
    ])
  })

  test.each([
    ['changed', `replace(about_private, 'admin', 'other')`],
    ['removed', 'NULL'],
  ])('names a record whose personal text was %s', async (what, value) => {
    await sql(`UPDATE ${events} SET about_private = ${value} WHERE index = 5`)
    expect(await findings()).toEqual([
      expect.stringMatching(new RegExp(`^record 5 \\(\\S+ login\\.failed\\) had its about_private ${what}$`)),
    ])
  })

  test('names a checkpoint that was forged', async () => {
    await sql(`UPDATE audittrail_audit_checkpoints SET note = replace(note, E'\\n' || size || E'\\n', E'\\n7\\n')
      WHERE size = (SELECT min(size) FROM audittrail_audit_checkpoints)`)
    expect(await findings()).toEqual([
      expect.stringMatching(/^kept checkpoint \d+ has a wrong signature of audittrail/),
    ])
  })

  /**
   * Edits a record, and replaces its hash, its seal and all checkpoints with the keys of the
   * service.
   */
  async function rewrite(index: number): Promise<void> {
    const { audit } = application.deps.database
    const { keys } = application.deps.audit
    const records = await audit.listEvents({ from: 0, limit: 1000 })
    const leaves = records.map(({ leaf }, at) => (at === index ? leaf.replace('wrong_password', 'unknown_user') : leaf))
    const hashes = leaves.map(hashLeaf)
    const hash = hashes[index] ?? emptyRoot
    const seal = keys.sealOf(index, hash).toString('hex')
    await sql(`UPDATE ${events} SET leaf = '${leaves[index]}', hash = decode('${hash.toString('hex')}', 'hex'),
      seal = decode('${seal}', 'hex') WHERE index = ${index}`)
    for (const { size } of await audit.listCheckpoints(0, 1000)) {
      const root = rootOf(appendLeaves(emptyEdge, hashes.slice(0, size)).edge)
      const origin = keys.firstOrigin()
      const note = writeCheckpoint({ origin, size, root }, keys.signersFor(origin))
      await sql(`UPDATE audittrail_audit_checkpoints SET note = '${note}', root = decode('${root.toString('hex')}', 'hex')
        WHERE size = ${size}`)
    }
  }

  test('was rewritten and signed again with SECRET_KEY: a kept checkpoint and a missing cosignature tell', async () => {
    const checkpoints = [String((await exported()).files.get('checkpoint'))]
    await rewrite(5)
    const { files, vkeys } = await exported()
    expect((await resultOf({ files, vkeys })).findings).toEqual([])
    expect((await resultOf({ files, vkeys, checkpoints })).findings).toEqual([
      expect.stringMatching(
        /^kept\.txt: checkpoint 1 \(size \d+\) does not fit the records: the change is in records? \d+/,
      ),
    ])
    const policy = `witness one ${createTestWitness('witness.example/w1', 1).vkey}\nquorum one\n`
    expect((await resultOf({ files, vkeys, policy })).findings).toEqual([
      'the checkpoint does not have the cosignatures that the policy requires',
    ])
  })

  test('is of an older dump: a kept checkpoint is beyond its end', async () => {
    const { size } = sequencer.state()
    await fail('lost with the dump')
    const checkpoints = [String((await exported()).files.get('checkpoint'))]
    await sql(`DELETE FROM ${events} WHERE index >= ${size}`)
    await sql(`DELETE FROM audittrail_audit_checkpoints WHERE size > ${size}`)
    const { findings } = await resultOf({ ...(await exported()), checkpoints })
    expect(findings).toEqual([
      expect.stringMatching(/^kept\.txt: checkpoint 1 \(size \d+\) is beyond the end of the log at \d+$/),
    ])
  })

  test('is intact after an accepted restore, which says what was lost', async () => {
    const { size } = sequencer.state()
    await fail('lost by the restore')
    const checkpoints = [String((await exported()).files.get('checkpoint'))]
    await sql(`DELETE FROM ${events} WHERE index >= ${size}`)
    await sql(`DELETE FROM audittrail_audit_checkpoints WHERE size > ${size}`)
    await sequencer.run()
    await acceptRestored(application.deps)
    await sequencer.run()
    const { findings, notes } = await resultOf({ ...(await exported()), checkpoints })
    expect({ findings, notes }).toEqual({
      findings: [],
      notes: [
        expect.stringMatching(/^events lost by a restore.*: \d+$/),
        expect.stringMatching(/^given checkpoints of records that the restore at record \d+ lost: 1$/),
      ],
    })
  })
})
