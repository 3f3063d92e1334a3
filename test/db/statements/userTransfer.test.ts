import { describe, expect, test } from 'bun:test'
import { importUsers } from '../../../src/domain/import/importUsers.ts'
import { databaseKinds, openTestApplication } from '../../application.ts'

const options = { format: 'ndjson', from: undefined, firebase: undefined, isDryRun: false, skipsBad: false } as const

async function* fileOf(count: number): AsyncGenerator<Uint8Array> {
  for (let n = 0; n < count; n++)
    yield Buffer.from(`${JSON.stringify({ username: `u${n}`, hashed_password: `$2b$04$${'a'.repeat(53)}` })}\n`)
}

describe.each(databaseKinds)('an import of many users on %s', (kind) => {
  test('renews the statistics that request checks are planned by', async () => {
    const { deps, sql, close } = await openTestApplication(kind)
    const rows = async () => (await sql("SELECT reltuples FROM pg_class WHERE oid = 'users'::regclass"))[0]?.reltuples
    await sql('ANALYZE users')
    expect(await rows()).toBe(1)
    await importUsers(deps, 'test', fileOf(1000), options, () => {})
    expect(await rows()).toBe(1001)
    await close()
  })
})
