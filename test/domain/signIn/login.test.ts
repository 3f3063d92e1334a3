import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Deps } from '../../../src/domain/deps.ts'
import { type HashCost, relativeCostOf } from '../../../src/domain/passwords/hashCost.ts'
import { argon2ParametersOf } from '../../../src/domain/passwords/hashLimits.ts'
import { hashPassword } from '../../../src/domain/passwords/hashPassword.ts'
import { login } from '../../../src/domain/signIn/login.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'

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

  /** Signs in, and returns the sum of the costs of all hashes verified for it. */
  async function costOfFailure(username: string, password: string): Promise<number> {
    const { deps } = application
    const verifier = deps.argon2()
    let cost = 0
    const recording: Deps = {
      ...deps,
      settings: { ...deps.settings, hashCost: today },
      argon2: () => ({
        ...verifier,
        verify: (normalized, hash) => {
          const parameters = argon2ParametersOf(hash)
          if (parameters) cost += relativeCostOf(parameters, verifier.curve)
          return verifier.verify(normalized, hash)
        },
      }),
    }
    const throttleSubject = { account: username, network: undefined, device: undefined }
    const client = { address: undefined, userAgent: undefined }
    const input = { username, password, sessionKind: 'token' as const, throttleSubject, ...client }
    const issued = login(recording, input, async () => 'signed in')
    await expect(issued).rejects.toMatchObject({ code: 'invalid_credentials' })
    return cost
  }

  test.each([
    ['an unknown user', 'stranger', 'wrong'],
    ['a wrong password', 'today', 'wrong'],
    ['a wrong password of a low-cost hash', 'cheap', 'wrong'],
    ['a malformed hash', 'malformed', 'wrong'],
    ['a disabled user', 'disabled', 'wrong'],
    ['a disabled user with the right password', 'disabled', good],
  ])('verifies as much as one hash of the configured cost for %s', async (_what, username, password) => {
    const whole = relativeCostOf(today, application.deps.argon2().curve)
    expect((await costOfFailure(username, password)) / whole).toBeCloseTo(1, 3)
  })
})
