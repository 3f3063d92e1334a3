import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { createSequencer } from '../../../src/domain/audit/sequencer.ts'
import { verifyLog } from '../../../src/domain/auditVerification/verify.ts'
import { ensureSigningKey } from '../../../src/domain/keys/signingKeys.ts'
import type { AppError } from '../../../src/error.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { openReplica } from '../../replica.ts'

describe.each(databaseKinds)('a database whose SECRET_KEY fingerprint was removed, on %s', (kind) => {
  let application: TestApplication
  beforeEach(async () => {
    application = await openTestApplication(kind)
  })
  afterEach(() => application.close())

  const sequence = () => createSequencer(application.deps, true).run()
  const removeFingerprint = () => application.sql('UPDATE audittrail_instance SET secret_key_fingerprint = NULL')
  /** Adds a pending event with someone else's MAC. */
  const forge = () =>
    application.sql(`INSERT INTO audittrail_audit_pending (process, n, leaf, by_private, about_private, mac)
      SELECT process, n + 1000, replace(leaf, '"n":' || n, '"n":' || n + 1000), by_private, about_private, decode('00', 'hex')
      FROM audittrail_audit_events ORDER BY audittrail_audit_events.index DESC LIMIT 1`)
  const problems = async () => {
    const found: string[] = []
    const { database, audit } = application.deps
    await verifyLog({ database, keys: audit.keys }, ({ problem }) => found.push(problem))
    return found
  }
  const fingerprints = () => application.sql('SELECT secret_key_fingerprint AS fingerprint FROM audittrail_instance')

  test('takes the key that signed its audit log again, and no event that this key did not write', async () => {
    await application.accessToken()
    await sequence()
    const bound = await fingerprints()
    await forge()
    await removeFingerprint()
    await ensureSigningKey(openReplica(application).deps)
    expect(await fingerprints()).toEqual(bound)
    await sequence()
    expect((await problems()).join()).toMatch(/^the pending event \d+ was not written by this service$/)
  })

  test.each([
    ['has another', ''],
    ['has another, and the checkpoints were deleted', 'DELETE FROM audittrail_audit_checkpoints'],
  ])('refuses a server that %s', async (_, change) => {
    await application.accessToken()
    await sequence()
    if (change !== '') await application.sql(change)
    await removeFingerprint()
    const secretKeys = { current: randomBytes(32).toString('hex'), previous: [] }
    const started = ensureSigningKey(openReplica(application, { secretKeys }).deps)
    expect(await started.catch(({ code, message }: AppError) => `${code}: ${message}`)).toMatch(
      /^refused: .*SECRET_KEY.*audit log.*audittrail key reset/,
    )
    expect(await fingerprints()).toEqual([{ fingerprint: null }])
  })

  test('takes any key while its audit log is empty', async () => {
    await removeFingerprint()
    await application.sql('DELETE FROM audittrail_keys')
    const secretKeys = { current: randomBytes(32).toString('hex'), previous: [] }
    const { deps } = openReplica(application, { secretKeys })
    await ensureSigningKey(deps)
    await createSequencer(deps, true).run()
    expect(await verifyLog({ database: deps.database, keys: deps.audit.keys }, () => {})).toMatchObject({
      findings: 0,
      pending: 0,
    })
  })
})
