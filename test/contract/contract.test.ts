import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openTestApplication, type TestApplication } from '../application.ts'
import { readContract } from './contract.ts'

const file = join(import.meta.dir, 'contract.json')

let application: TestApplication
beforeAll(async () => {
  application = await openTestApplication('PostgreSQL')
})
afterAll(() => application.close())

/**
 * A change here changes what clients depend on. It belongs in the commit that adds its CHANGELOG
 * entry: UPDATE_CONTRACT=1 bun test test/contract
 */
describe('the contract', () => {
  test('matches contract.json', async () => {
    const contract = JSON.parse(JSON.stringify(await readContract(application)))
    if (process.env.UPDATE_CONTRACT) writeFileSync(file, `${JSON.stringify(contract, undefined, 2)}\n`)
    expect(contract).toEqual(JSON.parse(readFileSync(file, 'utf8')))
  })
})

describe('the fixed error texts', () => {
  test('login: a wrong password returns "Incorrect username or password"', async () => {
    const response = await application.login('admin', 'wrong password')
    expect(await response.json()).toMatchObject({ status: 401, detail: 'Incorrect username or password' })
  })

  test('me: a missing token returns "Not authenticated"', async () => {
    const response = await application.call('/auth/me')
    expect(await response.json()).toMatchObject({ status: 401, detail: 'Not authenticated' })
  })

  test('me: an invalid token returns "Could not validate credentials"', async () => {
    const response = await application.me('nonsense')
    expect(await response.json()).toMatchObject({ status: 401, detail: 'Could not validate credentials' })
  })
})
