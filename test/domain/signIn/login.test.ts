import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createFailureTally } from '../../../src/domain/failureTally.ts'
import type { HashCost } from '../../../src/domain/passwords/hashCost.ts'
import { argon2ParametersOf } from '../../../src/domain/passwords/hashLimits.ts'
import { hashPassword } from '../../../src/domain/passwords/hashPassword.ts'
import { createRejectionWork } from '../../../src/domain/passwords/rejectionWork.ts'
import { login } from '../../../src/domain/signIn/login.ts'
import { countFailure } from '../../../src/domain/signIn/throttle.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { until } from '../../condition.ts'

const good = 'a long enough pass phrase'
const today = { memoryKib: 8192, timeCost: 2 }

describe('login', () => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication('PostgreSQL')
    await addUser('today', today)
    await addUser('cheap', { memoryKib: 2048, timeCost: 2 })
    await addUser('disabled', today, false)
    await application.sql(`INSERT INTO users (username, hashed_password, full_name, is_active)
      VALUES ('malformed', 'changeme', 'User', true)`)
  })
  afterAll(() => application.close())

  async function addUser(username: string, cost: HashCost, isActive = true): Promise<void> {
    const hash = await hashPassword(good, cost)
    await application.sql(`INSERT INTO users (username, hashed_password, full_name, is_active)
      VALUES ('${username}', '${hash}', 'User', ${isActive})`)
  }

  /** Signs in, and returns how many hashes of each memory in KiB were verified for it. */
  async function hashesOfFailure(username: string, password: string): Promise<Record<number, number>> {
    const { deps } = application
    const verifier = deps.argon2()
    const hashes: Record<number, number> = {}
    const argon2 = () => ({
      ...verifier,
      verify: (normalized: string, hash: string) => {
        const { memoryKib = 0 } = argon2ParametersOf(hash) ?? {}
        hashes[memoryKib] = (hashes[memoryKib] ?? 0) + 1
        return verifier.verify(normalized, hash)
      },
    })
    const rejectionWork = createRejectionWork(argon2, today)
    await rejectionWork.reread(async function* () {
      yield (await deps.database.users.sampleHashes(undefined, 100)).hashes
    })
    const throttleSubject = { account: username, network: undefined, device: undefined }
    const client = { address: undefined, userAgent: undefined }
    const input = { username, password, sessionKind: 'token' as const, throttleSubject, ...client }
    const issued = login({ ...deps, argon2, rejectionWork }, input, async () => 'signed in')
    await expect(issued).rejects.toMatchObject({ code: 'invalid_credentials' })
    return hashes
  }

  test.each([
    ['an unknown user', 'stranger', 'wrong'],
    ['a wrong password', 'today', 'wrong'],
    ['a wrong password of a low-cost hash', 'cheap', 'wrong'],
    ['a wrong password of a hash with fewer passes', 'admin', 'wrong'],
    ['a malformed hash', 'malformed', 'wrong'],
    ['a disabled user', 'disabled', 'wrong'],
    ['a disabled user with the right password', 'disabled', good],
  ])(
    'verifies a new hash, and the costliest of each kind among the users, for %s',
    async (_what, username, password) => {
      expect(await hashesOfFailure(username, password)).toEqual({ 8192: 1, 2048: 1, 1024: 1 })
    },
  )

  test('counts a failure even if a decoy fails, and logs a warning', async () => {
    const spend = async () => Promise.reject(new Error('no memory'))
    const failing = { kind: 'failing', amount: 1, share: 1, memory: 0, isKept: false, spend }
    const rejectionWork = { ...application.deps.rejectionWork, required: () => [failing] }
    const throttleSubject = { account: 'decoy', network: undefined, device: undefined }
    const client = { address: undefined, userAgent: undefined }
    const input = { username: 'decoy', password: 'wrong', sessionKind: 'token' as const, throttleSubject, ...client }
    const issued = login({ ...application.deps, rejectionWork }, input, async () => 'signed in')
    await expect(issued).rejects.toMatchObject({ code: 'invalid_credentials' })
    expect(application.lines).toContainEqual(expect.objectContaining({ level: 'warn', event: 'hash.decoy_failed' }))
    expect(await application.sql("SELECT FROM audittrail_attempts WHERE key LIKE '%decoy%'")).toHaveLength(2)
  })

  /** Signs in with the right password. `during` runs while the hash is verified. */
  async function signIn(account: string, during: () => Promise<void>, deps = application.deps) {
    const verifier = deps.argon2()
    const verify = async (password: string, hash: string) => {
      await during()
      return verifier.verify(password, hash)
    }
    const throttleSubject = { account, network: '192.0.2.9', device: undefined }
    const input = { username: 'today', password: good, sessionKind: 'token' as const, throttleSubject }
    return login(
      { ...deps, argon2: () => ({ ...verifier, verify }) },
      { ...input, address: '192.0.2.9', userAgent: undefined },
      async ({ id }) => id,
    )
  }
  const failAtAnotherReplica = async (account: string, failures: number) => {
    const throttleSubject = { account, network: '192.0.2.9', device: undefined }
    const replica = { ...application.deps, failureTally: createFailureTally() }
    for (let failure = 0; failure < failures; failure++) await countFailure(replica, throttleSubject, 'today')
  }
  const sessions = async () => (await application.sql('SELECT FROM audittrail_sessions')).length

  test('starts no session if the account was locked out at another replica during the hash', async () => {
    const before = await sessions()
    const signingIn = signIn('locked', () => failAtAnotherReplica('locked', 6))
    await expect(signingIn).rejects.toMatchObject({ code: 'too_many_attempts' })
    expect(await sessions()).toBe(before)
    expect(application.lines.at(-1)).toMatchObject({ event: 'login.throttled', address: '192.0.2.9' })
  })

  test('starts a session despite failures without a delay during the hash, and keeps them', async () => {
    const before = await sessions()
    await signIn('unlocked', () => failAtAnotherReplica('unlocked', 5))
    expect(await sessions()).toBe(before + 1)
    expect(await application.sql("SELECT FROM audittrail_attempts WHERE key LIKE '%unlocked%'")).toHaveLength(2)
  })

  test('verifies no hash after a failure of this process that locked out the account during the wait', async () => {
    const { deps } = application
    const releases = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const held = releases.map(({ promise }) => deps.hashQueue.run(() => promise))
    let hashes = 0
    const signingIn = signIn('waiting', async () => {
      hashes++
    })
    await until(() => deps.hashQueue.waiting === 1)
    const throttleSubject = { account: 'waiting', network: '192.0.2.9', device: undefined }
    for (let failure = 0; failure < 6; failure++) await countFailure(deps, throttleSubject, 'today')
    for (const { resolve } of releases) resolve()
    await expect(signingIn).rejects.toMatchObject({ code: 'too_many_attempts' })
    await Promise.all(held)
    expect(hashes).toBe(0)
  })
})
