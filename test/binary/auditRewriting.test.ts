import { describe, expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SQL } from 'bun'
import { createAuditKeys } from '../../src/domain/audit/auditKeys.ts'
import { writeCheckpoint } from '../../src/domain/transparency/checkpoint.ts'
import { appendLeaves, emptyEdge, hashLeaf, rootOf } from '../../src/domain/transparency/tree.ts'
import { until } from '../condition.ts'
import { createTestWitness } from '../domain/witnesses/testWitness.ts'
import { createDatabase } from '../postgresql.ts'
import { emptyDirectory, login, run, serve } from './binary.ts'

const secrets = { SECRET_KEY: 'a'.repeat(32), ADMIN_PASSWORD: 'a long enough pass phrase' }
const cost = { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1' }

/** An installation on PostgreSQL whose server has stopped, with checkpoints in a file. */
async function openStopped() {
  const directory = emptyDirectory()
  const [file, policy] = [join(directory, 'checkpoints'), join(directory, 'policy')]
  const url = new URL(await createDatabase())
  const environment = { ...secrets, ...cost, DATABASE_URL: url.href, AUDIT_CHECKPOINT_FILE: file }
  const use = async () => {
    const server = await serve({ environment, directory })
    for (let count = 0; count < 3; count++)
      expect((await login(server.url, 'admin', secrets.ADMIN_PASSWORD)).status).toBe(200)
    await until(() => server.output.stdout.includes('"audit.checkpoint"'))
    await server.stop()
  }
  await use()
  const sql = () => new SQL(url.href, { max: 1 })
  const command = (args: string, more: Record<string, string> = {}) =>
    run(args.split(' '), { environment: { ...environment, ...more }, directory })
  return { directory, file, policy, url, environment, use, sql, command }
}

/** Changes a record, and makes every hash, seal and signature again with SECRET_KEY. */
async function rewrite(sql: SQL): Promise<void> {
  const keys = createAuditKeys(() => ({ current: secrets.SECRET_KEY, previous: [] }))
  const [{ origin }] = await sql`SELECT origin FROM audittrail_audit_state`
  const rows: { leaf: string }[] = await sql`SELECT leaf FROM audittrail_audit_events ORDER BY index`
  const leaves = rows.map(({ leaf }) => leaf.replace('"type":"login.succeeded"', '"type":"logout"'))
  for (const [index, leaf] of leaves.entries()) {
    const hash = hashLeaf(leaf)
    const type = JSON.parse(leaf).type
    await sql`UPDATE audittrail_audit_events SET leaf = ${leaf}, hash = decode(${hash.toString('hex')}, 'hex'), type = ${type},
      seal = decode(${keys.sealOf(index, hash).toString('hex')}, 'hex') WHERE index = ${index}`
  }
  const checkpoints: { size: number }[] = await sql`SELECT size::int AS size FROM audittrail_audit_checkpoints`
  for (const { size } of checkpoints) {
    const root = rootOf(appendLeaves(emptyEdge, leaves.slice(0, size).map(hashLeaf)).edge)
    const note = writeCheckpoint({ origin, size, root }, keys.signersFor(origin))
    await sql`UPDATE audittrail_audit_checkpoints SET root = decode(${root.toString('hex')}, 'hex'), note = ${note} WHERE size = ${size}`
  }
}

describe('an audit log on PostgreSQL', () => {
  test('that is rewritten and signed again with SECRET_KEY contradicts kept checkpoints and cosignatures', async () => {
    const { directory, file, policy, environment, sql: connect, command } = await openStopped()
    const sql = connect()
    const witness = createTestWitness('witness.example/w', 1)
    const vkey = (await command('audit key')).stdout.trim()
    writeFileSync(policy, `log ${vkey}\nwitness w ${witness.vkey} https://witness.example/\nquorum w\n`)
    const [{ size, note }] =
      await sql`SELECT size::int AS size, note FROM audittrail_audit_checkpoints ORDER BY audittrail_audit_checkpoints.size DESC LIMIT 1`
    const cosigned = note + witness.cosign(`${String(note).split('\n\n')[0]}\n`, 1_800_000_000)
    await sql`UPDATE audittrail_audit_checkpoints SET note = ${cosigned}, cosigned_at = now() WHERE size = ${size}`
    const kept = readFileSync(file, 'utf8')
    const verifyExport = async (name: string, more: Record<string, string> = {}) => {
      expect((await command(`audit export ${name}`, more)).code).toBe(0)
      const withPolicy = await command(`audit verify ${name} --policy ${policy}`)
      const withKept = await command(`audit verify ${name} --vkey ${vkey} --checkpoint ${file}`)
      return [withPolicy, withKept].map(({ code, stdout }) => ({ code, stdout }))
    }
    expect((await command('audit verify')).code).toBe(0)
    expect((await verifyExport('before', { AUDIT_WITNESSES: policy })).map(({ code }) => code)).toEqual([0, 0])

    await rewrite(sql)
    const online = await command('audit verify')
    expect(online.stdout).toContain('of the checkpoint of that size in AUDIT_CHECKPOINT_FILE')
    expect(online.code).toBe(1)
    expect((await command('audit verify', { AUDIT_WITNESSES: policy })).stdout).toContain(
      'no checkpoint has the cosignatures that AUDIT_WITNESSES requires',
    )
    const [policyResult, keptResult] = await verifyExport('after')
    expect(policyResult?.stdout).toContain('does not have the cosignatures that the policy requires')
    expect(policyResult?.code).toBe(1)
    expect(keptResult?.stdout).toContain('does not fit the records')
    expect(keptResult?.code).toBe(1)
    // With nothing from outside, no one can tell.
    writeFileSync(join(directory, 'none'), '')
    const alone = await command('audit verify', { AUDIT_CHECKPOINT_FILE: join(directory, 'none') })
    expect(alone.stdout).toContain('a rewrite with SECRET_KEY')
    expect(alone.code).toBe(0)

    const restarted = await serve({ environment, directory })
    await until(() => restarted.output.stdout.includes('"reason":"rewritten"'))
    await restarted.stop()
    expect(readFileSync(file, 'utf8')).toBe(kept)
    await sql.close()
  })

  test('that is replaced by an older dump while no server runs contradicts the checkpoint file', async () => {
    const { directory, url, environment, use, command } = await openStopped()
    const admin = new SQL(new URL('/postgres', url).href, { max: 1 })
    const [name, copy] = [url.pathname.slice(1), `${url.pathname.slice(1)}_dump`]
    await admin.unsafe(`CREATE DATABASE ${copy} TEMPLATE ${name}`)
    await use()
    expect((await command('audit verify')).code).toBe(0)
    await admin.unsafe(`DROP DATABASE ${name} WITH (FORCE)`)
    await admin.unsafe(`ALTER DATABASE ${copy} RENAME TO ${name}`)
    await admin.close()
    const { code, stdout } = await command('audit verify')
    expect(stdout).toContain('its end was removed, or an older copy was restored')
    expect(code).toBe(1)
    const restored = await serve({ environment, directory })
    await until(() => restored.output.stdout.includes('"reason":"rolled_back"'))
    expect((await login(restored.url, 'admin', secrets.ADMIN_PASSWORD)).status).toBe(200)
    expect((await command('audit restored')).code).toBe(0)
    await restored.stop()
    expect((await command('audit verify')).code).toBe(0)
  })
})
