import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { recordAlone } from '../../src/domain/audit/audited.ts'
import { createAuditKeys } from '../../src/domain/audit/auditKeys.ts'
import { createSequencer } from '../../src/domain/audit/sequencer.ts'
import { createNoteSigner } from '../../src/domain/transparency/signedNote.ts'
import { parsePolicy } from '../../src/domain/witnesses/policy.ts'
import { createWitnessing } from '../../src/domain/witnesses/witnessing.ts'
import { boundedPost } from '../../src/system/boundedPost.ts'
import { openTestApplication, type TestApplication } from '../application.ts'
import { login, run, serve } from '../binary/binary.ts'
import { until } from '../condition.ts'
import { temporaryDirectory } from '../endOfFile.ts'
import { openReplica } from '../replica.ts'
import { type Litewitness, startLitewitness } from './litewitness.ts'
import { buildTools, client } from './tools.ts'

beforeAll(buildTools)

describe('litewitness', () => {
  const origin = 'audittrail/test'
  const bounds = { timeout: 10_000, maxLength: 65_536, userAgent: 'test' }
  let application: TestApplication
  let witness: Litewitness
  beforeEach(async () => {
    application = await openTestApplication('PostgreSQL')
    witness = await startLitewitness('witness.example/lite')
    witness.register(application.deps.audit.keys.signersFor(origin)[0]?.vkey ?? '')
  })
  afterEach(async () => {
    witness.stop()
    await application.close()
  })

  /** A server that starts: records events, and sends the newest checkpoint. */
  async function recordAndSend(events: number) {
    const { deps } = openReplica(application, { secretKeys: application.deps.settings.keys.secretKeys() })
    const { database, audit, clock, log } = deps
    const sequencer = createSequencer(deps, true)
    for (let count = 0; count < events; count++)
      await recordAlone(deps, { event: { event: 'audit.suppressed', type: 'login.failed', count } })
    await sequencer.run()
    application.clock.now += 60_000
    const parsed = parsePolicy(Buffer.from(`witness lite ${witness.vkey} ${witness.url}\nquorum lite\n`))
    if ('problem' in parsed) throw new Error(parsed.problem)
    const post = (url: string, body: string) => boundedPost(url, body, bounds)
    const { signedHead } = sequencer
    const witnessing = createWitnessing({
      database,
      keys: audit.keys,
      clock,
      log,
      policy: parsed.policy,
      signedHead,
      post,
    })
    await witnessing.run()
    const [state] = witnessing.state().witnesses
    return { failure: state?.failure, published: witnessing.state().published, size: sequencer.state().size }
  }

  const tables = ['events', 'nodes', 'checkpoints', 'state', 'pending', 'witnesses'].map(
    (name) => `audittrail_audit_${name}`,
  )
  const empty = () => application.sql(`TRUNCATE ${tables.join()}`)

  test('cosigns each checkpoint that extends the one before', async () => {
    for (const events of [1, 3, 300, 1]) {
      const { failure, published, size } = await recordAndSend(events)
      expect([failure, published, witness.sizeOf(origin)]).toEqual([undefined, size, size])
    }
  }, 120_000)

  test('cosigns again after this service has forgotten its size', async () => {
    await recordAndSend(2)
    await application.sql('TRUNCATE audittrail_audit_witnesses')
    const { failure, published, size } = await recordAndSend(2)
    expect([failure, published]).toEqual([undefined, size])
  })

  test('refuses an older copy of the log', async () => {
    for (const table of tables) await application.sql(`CREATE TABLE saved_${table} AS TABLE ${table}`)
    await recordAndSend(5)
    await empty()
    for (const table of tables)
      await application.sql(`INSERT INTO ${table} OVERRIDING SYSTEM VALUE TABLE saved_${table}`)
    expect((await recordAndSend(1)).failure).toBe('ahead')
  })

  test.each([
    ['as many', 0],
    ['more', 4],
  ])('refuses a log that was rewritten and signed with %s records', async (_, more) => {
    const before = await recordAndSend(5)
    await empty()
    const { failure, size } = await recordAndSend(before.size + more)
    expect(size).toBe(before.size + more)
    expect(failure).toBe('forked')
    expect(witness.sizeOf(origin)).toBe(before.size)
  })

  test('refuses a log that it does not know, and one whose key it does not know', async () => {
    const known = witness
    witness = await startLitewitness('witness.example/other')
    known.stop()
    expect((await recordAndSend(1)).failure).toBe('unknown_log')
    witness.register(createNoteSigner(origin, Buffer.alloc(32, 9)).vkey)
    await application.sql(`UPDATE audittrail_audit_witnesses SET claimed_until = '-infinity'`)
    expect((await recordAndSend(1)).failure).toBe('unknown_key')
  })
})

describe('a server with AUDIT_WITNESSES', () => {
  const directory = temporaryDirectory('interop-witness')
  const policyFile = join(directory, 'policy')
  const environment = {
    SECRET_KEY: 'w'.repeat(32),
    ADMIN_PASSWORD: 'a long enough pass phrase',
    PASSWORD_MEMORY_KIB: '8192',
    PASSWORD_TIME_COST: '1',
    ISSUER: 'https://auth.example.com',
    DATA_DIR: join(directory, 'data'),
    AUDIT_WITNESSES: policyFile,
  }
  const origin = 'auth.example.com/api/audit/log'
  const secretKeys = { current: environment.SECRET_KEY, previous: [] }
  const vkey = createAuditKeys(() => secretKeys).signersFor(origin)[0]?.vkey ?? ''
  let witness: Litewitness
  beforeAll(async () => {
    witness = await startLitewitness('witness.example/server')
    witness.register(vkey)
    writeFileSync(policyFile, `witness lite ${witness.vkey} ${witness.url}\nquorum lite\n`)
  })
  afterAll(() => witness?.stop())

  const command = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(args, { environment, directory })
    if (code !== 0) throw new Error(stdout + stderr)
    return stdout.trimEnd()
  }
  /** A checkpoint is sent in the minute after it was made. */
  const untilSent = (isTrue: () => boolean | Promise<boolean>) => until(isTrue).catch(() => until(isTrue))

  test('publishes what litewitness has cosigned, which torchwood verifies by the same policy', async () => {
    const server = await serve({ environment, directory })
    const authorization = `Bearer ${await command('apikey', 'create', 'auditor', '--scope', 'audit:read')}`
    const checkpoint = () => fetch(`${server.url}/audit/log/checkpoint`, { headers: { authorization } })
    expect((await login(server.url, 'admin', environment.ADMIN_PASSWORD)).status).toBe(200)
    await untilSent(async () => (await checkpoint()).ok)
    expect(await command('audit', 'key')).toBe(vkey)
    const note = await (await checkpoint()).text()
    expect(note.match(/^— /gm)).toHaveLength(2)
    writeFileSync(join(directory, 'checkpoint'), note)
    writeFileSync(join(directory, 'auditor'), `log ${vkey}\nwitness lite ${witness.vkey}\nquorum lite\n`)
    await command('audit', 'proof', '0')
    const files = ['auditor', 'checkpoint', 'event-0.json'].map((name) => join(directory, name))
    expect(await client('quorum', ...files)).toBe(note.split('\n')[1] ?? '')
    await server.stop()
  }, 240_000)

  test('reports an older copy of DATA_DIR that was restored while it was stopped', async () => {
    const starts = async () => {
      const lines = await command('audit', 'list', '--type', 'server.started', '--json')
      return lines.split('\n').map((line): { index: number } => JSON.parse(line))
    }
    const before = (await starts()).length
    const copy = join(directory, 'copy')
    cpSync(environment.DATA_DIR, copy, { recursive: true })
    const server = await serve({ environment, directory })
    // The witness must have a record that the copy does not have: that of the start.
    const latest = async () => (await starts())[before]?.index ?? Number.POSITIVE_INFINITY
    await untilSent(async () => witness.sizeOf(origin) > (await latest()))
    await server.stop()
    rmSync(environment.DATA_DIR, { recursive: true })
    cpSync(copy, environment.DATA_DIR, { recursive: true })
    const restored = await serve({ environment, directory })
    // With as many records as the witness has, nothing would be sent before the next event.
    expect((await login(restored.url, 'admin', environment.ADMIN_PASSWORD)).status).toBe(200)
    await untilSent(() => restored.output.stdout.includes('audit.witness_contradicts'))
    await restored.stop()
  }, 400_000)
})
