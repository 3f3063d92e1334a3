import { afterAll, describe, expect, test } from 'bun:test'
import { readHash } from '../../../src/domain/passwords/readHash.ts'
import { createRejectionWorkReader } from '../../../src/domain/passwords/rejectionWork.ts'
import { databaseKinds, openTestApplication } from '../../application.ts'
import { hashByArgon2Cffi, hashByPwdlib, thirdPartyHashes } from '../../domain/hashes/formats.ts'

const closing: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const close of closing) await close()
})

const bcrypt = (cost: string) => `$2b$${cost}$${'a'.repeat(53)}`
const formats = [...thirdPartyHashes.map(([, hash]) => hash), hashByPwdlib, hashByArgon2Cffi, bcrypt('04')]

describe.each(databaseKinds)('hash samples on %s', (kind) => {
  const insert = (sql: (text: string) => Promise<unknown>, hash: string, name: string) =>
    sql(`INSERT INTO users (username, hashed_password, full_name) VALUES ('${name}', '${hash}', 'User')`)

  test('have one hash per prefix, in every supported format, page by page', async () => {
    const { deps, sql, close } = await openTestApplication(kind)
    closing.push(close)
    await sql('DELETE FROM users')
    await sql('ALTER TABLE users ALTER hashed_password TYPE text')
    for (const [index, hash] of formats.entries()) await insert(sql, hash, `user${index}`)
    for (let copy = 0; copy < 50; copy++) await insert(sql, `$2b$05$${String(copy).padStart(53, 'a')}`, `copy${copy}`)
    const all = await deps.database.users.sampleHashes(undefined, 1000)
    expect(all.next).toBeUndefined()
    expect(all.hashes.filter((hash) => hash.startsWith('$2b$05$'))).toHaveLength(1)
    const works = (hashes: readonly string[]) =>
      new Set(hashes.map((hash) => `${readHash(hash)?.work.kind}: ${readHash(hash)?.work.amount}`))
    expect(works(all.hashes)).toEqual(works([...formats, bcrypt('05')]))

    const paged: string[] = []
    for (let after: string | undefined, isFirst = true; isFirst || after !== undefined; isFirst = false) {
      const page = await deps.database.users.sampleHashes(after, 7)
      paged.push(...page.hashes)
      after = page.next
    }
    expect(works(paged)).toEqual(works(all.hashes))
  })

  test('include a supported argon2 hash next to one of another version', async () => {
    const { deps, sql, close } = await openTestApplication(kind)
    closing.push(close)
    await sql('DELETE FROM users')
    const argon2 = (version: number) => `$argon2id$v=${version}$m=2048,t=2,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
    for (const version of [16, 19]) await insert(sql, argon2(version), `version${version}`)
    expect((await deps.database.users.sampleHashes(undefined, 5)).hashes).toContain(argon2(19))
  })

  test('are empty without users, and do not end at a page of hashes without a known format', async () => {
    const { deps, sql, close } = await openTestApplication(kind)
    closing.push(close)
    await sql('DELETE FROM users')
    expect(await deps.database.users.sampleHashes(undefined, 5)).toEqual({ hashes: [], next: undefined })
    await sql(`INSERT INTO users (id, username, hashed_password, full_name)
      SELECT lpad(n::text, 32, '0')::uuid, 'u' || n, '!', 'User' FROM generate_series(0, 4) AS n`)
    expect((await deps.database.users.sampleHashes(undefined, 5)).next).toBeDefined()
  })

  test('add the rounds of an imported bcrypt hash to every rejection until it is gone', async () => {
    const { deps, sql, close } = await openTestApplication(kind)
    closing.push(close)
    let isEnding = false
    let now = 0
    const reread = createRejectionWorkReader(
      { ...deps, users: deps.database.users, monotonicClock: () => now },
      () => isEnding,
    )
    await reread()
    const rounds = () => deps.rejectionWork.required().find(({ kind }) => kind === 'bcrypt')?.amount
    expect(rounds()).toBeUndefined()
    await insert(sql, bcrypt('12'), 'imported')
    now++
    await reread()
    expect(rounds()).toBe(4096)
    await sql(`DELETE FROM users WHERE username = 'imported'`)
    await reread()
    expect(rounds()).toBeUndefined()
    isEnding = true
    expect(await reread().catch((error: unknown) => error)).toMatchObject({ message: 'The server is stopping.' })
  })
})
