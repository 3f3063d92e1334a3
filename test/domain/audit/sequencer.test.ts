import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { parseLeaf } from '../../../src/domain/audit/leaf.ts'
import { createSequencer } from '../../../src/domain/audit/sequencer.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'

describe.each(databaseKinds)('audit log on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind)
  })
  afterAll(() => application.close())

  const sequencer = () => createSequencer(application.deps, true)
  const events = async () => {
    await sequencer().run()
    return application.deps.database.audit.listEvents({ from: 0, limit: 1000 })
  }

  test('records a sign-in, its failure and a sign-out with their context', async () => {
    const before = (await events()).length
    const token = await application.accessToken()
    await application.login('admin', 'wrong password')
    await application.login('stranger', 'wrong password')
    await application.call('/auth/logout', { method: 'POST', headers: { authorization: `Bearer ${token}` } })
    const added = (await events()).slice(before)
    expect(added.map(({ type }) => type)).toEqual(['login.succeeded', 'login.failed', 'login.failed', 'logout'])
    expect(added.map(({ outcome }) => outcome)).toEqual(['done', 'refused', 'refused', 'done'])
    expect(added[2]?.leaf).not.toContain('stranger')
    expect(added[2]?.about_private).toBeNull()
    expect(added.every(({ leaf }) => !leaf.includes('admin'))).toBe(true)
    expect(JSON.parse(added[0]?.by_private ?? '{}').username).toBe('admin')
  })

  test('gives every event of a process the next number', async () => {
    const all = await events()
    expect(all.map(({ index }) => index)).toEqual(all.map((_, index) => index))
    const numbers = all.map(({ leaf }) => parseLeaf(leaf)?.n)
    expect(numbers).toEqual(numbers.toSorted((one = 0, other = 0) => one - other))
  })
})
