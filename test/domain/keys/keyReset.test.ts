import { afterEach, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { createSequencer } from '../../../src/domain/audit/sequencer.ts'
import { verifyLog } from '../../../src/domain/auditVerification/verify.ts'
import { listKeys } from '../../../src/domain/keys/keyList.ts'
import { ensureSigningKey, resetKeys } from '../../../src/domain/keys/signingKeys.ts'
import { hashLeaf } from '../../../src/domain/transparency/tree.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { headerOf, openReplica } from '../../replica.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function open(...given: Parameters<typeof openTestApplication>): Promise<TestApplication> {
  const application = await openTestApplication(...given)
  closing.push(() => application.close())
  return application
}

const states = async ({ deps }: Pick<TestApplication, 'deps'>) =>
  (await listKeys(deps, {})).map(({ algorithm, state }) => `${algorithm} ${state}`)

describe.each(databaseKinds)('key reset on %s', (kind) => {
  test('changes nothing if it cannot store the new key', async () => {
    const application = await open(kind, { algorithm: 'EdDSA' })
    const token = await application.accessToken()
    await application.sql('ALTER TABLE audittrail_keys ADD CONSTRAINT full_disk CHECK (created_at IS NULL) NOT VALID')
    expect(await resetKeys(application.deps, 'test').catch(({ code }) => code)).toBe('internal')
    expect(await states(application)).toEqual(['EdDSA signing'])
    expect((await application.me(token)).status).toBe(200)
    expect(application.lines.map(({ event }) => event)).not.toContain('key.reset')
  })

  test('that lost its new key is followed by a first key of ALGORITHM, and no session returns', async () => {
    const application = await open(kind)
    const token = await application.accessToken()
    await resetKeys(application.deps, 'test')
    await application.sql('DELETE FROM audittrail_keys')
    const restarted = openReplica(application, { algorithm: 'EdDSA' })
    await ensureSigningKey(restarted.deps)
    expect(await states(application)).toEqual(['EdDSA signing'])
    expect(await restarted.me(token)).toBe(401)
    expect(headerOf(await restarted.accessToken()).alg).toBe('EdDSA')
  })

  test('deletes the pending events of a lost SECRET_KEY, and records their hashes', async () => {
    const application = await open(kind)
    await createSequencer(application.deps, true).run()
    await application.accessToken()
    const [{ leaf } = {}] = await application.sql('SELECT leaf FROM audittrail_audit_pending')
    const secretKeys = { current: randomBytes(32).toString('hex'), previous: [] }
    const { deps } = openReplica(application, { secretKeys })
    await resetKeys(deps, 'test')
    await createSequencer(deps, true).run()
    const found: string[] = []
    const verified = await verifyLog({ database: deps.database, keys: deps.audit.keys }, ({ problem }) =>
      found.push(problem),
    )
    expect({ found, pending: verified.pending }).toEqual({ found: [], pending: 0 })
    const [rejected] = await deps.database.audit.listEvents({ type: 'audit.rejected', limit: 10 })
    expect(JSON.parse(rejected?.leaf ?? '').facts.hash).toBe(hashLeaf(String(leaf)).toString('base64'))
  })

  test('replaces keys of an earlier rotation by one of the newest algorithm that signs at once', async () => {
    const application = await open(kind)
    const rotating = openReplica(application, { algorithm: 'ES256' })
    await ensureSigningKey(rotating.deps)
    expect(await states(application)).toEqual(['ES256 published', 'HS256 signing'])
    expect(await resetKeys(application.deps, 'test')).toBe(0)
    expect(await states(application)).toEqual(['ES256 signing'])
    expect(headerOf(await rotating.accessToken()).alg).toBe('ES256')
  })
})
