import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { proveEvent } from '../../../src/domain/publishedLog/eventProof.ts'
import { readCheckpoint } from '../../../src/domain/transparency/checkpoint.ts'
import { verifyInclusion } from '../../../src/domain/transparency/proofs.ts'
import { hashLeaf } from '../../../src/domain/transparency/tree.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { growLog, withChange } from './filledLog.ts'

const events = 'audittrail_audit_events'
const size = 300

describe('the proof of an event', () => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication('PostgreSQL')
    await growLog(application, size)
  })
  afterAll(() => application.close())

  const prove = (index: number) => proveEvent(application.deps, index)

  test.each([0, 1, 127, 128, 255, 256, 299])('shows that record %p is in the signed log', async (at) => {
    const { leaf, proof } = await prove(at)
    const signers = application.deps.audit.keys.signersFor('audittrail/test')
    const checkpoint = readCheckpoint(proof.note, 'audittrail/test', signers)
    const root = checkpoint?.root ?? Buffer.alloc(0)
    expect(checkpoint?.size).toBe(size)
    expect(verifyInclusion({ index: at, size, leafHash: hashLeaf(leaf), proof: proof.hashes, root })).toBe(true)
    expect(proof.index).toBe(at)
  })

  test('has the personal texts, or null for those that were erased', async () => {
    expect(JSON.parse((await prove(7)).byPrivate ?? '')).toMatchObject({ address: '198.51.100.7' })
    const erased = `UPDATE ${events} SET by_private = NULL WHERE index = 7`
    expect((await withChange(application, erased, () => prove(7))).byPrivate).toBeNull()
  })

  test('does not exist for a record that is not in the published log', async () => {
    await application.login()
    for (const index of [size, size + 1, Number.MAX_SAFE_INTEGER])
      await expect(prove(index)).rejects.toMatchObject({ code: 'not_found' })
  })

  test.each([
    ['an edited record', `UPDATE ${events} SET leaf = replace(leaf, 'login', 'logon') WHERE index = 7`],
    ['a missing record', `DELETE FROM ${events} WHERE index = 7`],
    ['a missing neighbor', `DELETE FROM ${events} WHERE index = 6`],
    ['a neighbor with another hash', `UPDATE ${events} SET hash = sha256('x') WHERE index = 6`],
    ['another personal text', `UPDATE ${events} SET by_private = '{}' WHERE index = 7`],
    [
      'a personal text that the record does not have',
      `UPDATE ${events} SET about_private = by_private WHERE index = 7`,
    ],
  ])('is refused for %s', async (_, change) => {
    const proven = withChange(application, change, () => prove(7))
    await expect(proven).rejects.toMatchObject({ code: 'refused' })
  })
})
