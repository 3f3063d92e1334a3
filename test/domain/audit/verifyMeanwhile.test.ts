import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { createSequencer } from '../../../src/domain/audit/sequencer.ts'
import { verifyLog } from '../../../src/domain/auditVerification/verify.ts'
import { ensureSigningKey } from '../../../src/domain/keys/signingKeys.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { openReplica } from '../../replica.ts'

const columns = 'process, n, leaf, by_private, about_private, mac'

describe.each(databaseKinds)('verification of an audit log in use on %s', (kind) => {
  let application: TestApplication
  beforeEach(async () => {
    application = await openTestApplication(kind)
  })
  afterEach(() => application.close())

  test('finds nothing if an earlier event is committed between two pages of pending ones', async () => {
    const { database, audit } = application.deps
    const sql = (query: string) => application.sql(query)
    await createSequencer(application.deps, true).run()
    // Its transaction is open while the first page is read: it has a lower id than what is there.
    await application.accessToken()
    await sql('CREATE TABLE uncommitted AS TABLE audittrail_audit_pending')
    await sql('DELETE FROM audittrail_audit_pending')
    await openReplica(application).accessToken()
    let pages = 0
    const listPending: typeof database.audit.listPending = async (...given) => {
      const page = await database.audit.listPending(...given)
      if (++pages > 1) return page
      await sql(
        `INSERT INTO audittrail_audit_pending (id, ${columns}) OVERRIDING SYSTEM VALUE SELECT id, ${columns} FROM uncommitted`,
      )
      await application.accessToken()
      return page
    }
    const found: string[] = []
    await verifyLog({ database: { audit: { ...database.audit, listPending } }, keys: audit.keys }, ({ problem }) =>
      found.push(problem),
    )
    expect({ found, pages }).toEqual({ found: [], pages: 3 })
  })

  test('finds nothing once SECRET_KEY was changed, whichever replica added the records', async () => {
    await application.accessToken()
    const next = randomBytes(32).toString('hex')
    const behind = openReplica(application, { secretKeys: { current: application.secretKey, previous: [next] } })
    const ahead = openReplica(application, { secretKeys: { current: next, previous: [application.secretKey] } })
    await createSequencer(application.deps, true).run()
    await ensureSigningKey(ahead.deps)
    await createSequencer(behind.deps, true).run()
    await ahead.accessToken()
    const last = openReplica(application, { secretKeys: { current: next, previous: [] } })
    await createSequencer(last.deps, true).run()
    const found: string[] = []
    const { database, audit } = last.deps
    await verifyLog({ database, keys: audit.keys }, ({ problem }) => found.push(problem))
    expect(found).toEqual([])
  })

  test('finds nothing if a process with the next SECRET_KEY adds the pending events of the former one', async () => {
    const next = randomBytes(32).toString('hex')
    await createSequencer(application.deps, true).run()
    await application.accessToken()
    await application.login('admin', 'wrong password')
    const ahead = openReplica(application, { secretKeys: { current: next, previous: [application.secretKey] } })
    await ensureSigningKey(ahead.deps)
    await createSequencer(ahead.deps, true).run()
    expect(await application.sql('SELECT FROM audittrail_audit_pending')).toEqual([])
    for (const secretKeys of [
      { current: next, previous: [application.secretKey] },
      { current: application.secretKey, previous: [next] },
      { current: next, previous: [] },
    ]) {
      const { deps } = openReplica(application, { secretKeys })
      const found: string[] = []
      await verifyLog({ database: deps.database, keys: deps.audit.keys }, ({ problem }) => found.push(problem))
      expect(found).toEqual([])
    }
  })
})
