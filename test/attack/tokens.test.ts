import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { randomUUID } from 'node:crypto'
import { accessToken, type Server, serve } from '../binary/binary.ts'
import { createDatabase } from '../postgresql.ts'
import { claimVectors } from './forgedClaims.ts'
import { encodingVectors } from './forgedEncodings.ts'
import { headerVectors } from './forgedHeaders.ts'
import { again, longToken, readToken, type Workshop } from './forgery.ts'
import { requestText, sendRaw } from './rawHttp.ts'

// RFC 8725 and bugs found in JWT libraries since 2015. Each forged token belongs to an active
// session and is signed correctly unless the attack says otherwise, so that it has exactly one
// flaw.

const secretKey = 'the signing key of these attacks, 32 bytes and more'
const environment = {
  SECRET_KEY: secretKey,
  ADMIN_PASSWORD: 'a long enough pass phrase',
  PASSWORD_MEMORY_KIB: '8192',
  PASSWORD_TIME_COST: '1',
}

let server: Server
let workshop: Workshop
beforeAll(async () => {
  server = await serve({ environment: { ...environment, DATABASE_URL: await createDatabase() } })
  const token = await accessToken(server.url, 'admin', environment.ADMIN_PASSWORD)
  const other = await accessToken(server.url, 'admin', environment.ADMIN_PASSWORD)
  workshop = { ...readToken(token), token, other, secretKey }
})
afterAll(async () => {
  const { code, stderr } = await server.stop()
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
})

const ask = (token: string) =>
  sendRaw(
    server.origin,
    requestText('GET', '/api/auth/me', [`Authorization: Bearer ${token}`, 'X-Request-Id: the-same']),
  )

const refusal = JSON.stringify({
  type: 'urn:audittrail:problem:invalid_token',
  title: 'Unauthorized',
  status: 401,
  detail: 'Could not validate credentials',
  request_id: 'the-same',
})

const reasonParameters = /(?<=^www-authenticate: Bearer) error="invalid_token", error_description="(expired|revoked)"$/
/** Well-formed claims with our signature: of the past, or of another user or session. */
const expired = [0, -1, -86_400].map((seconds) => `exp of ${seconds} s from now`).concat('exp 0')
const revoked = /^(sub "[^\\]*"|[us]id "[0-9a-f-]{36}")$/

/** Returns the reason that the key holder learns. A token with another flaw never gets one. */
function reasonOf(head: readonly string[]): string | undefined {
  return head.map((line) => reasonParameters.exec(line)?.[1]).find((reason) => reason !== undefined)
}

describe.each([
  ['the header', headerVectors],
  ['the claims', claimVectors],
  ['the encoding', encodingVectors],
] as const)('a token forged in %s', (_where, vectors) => {
  test.each(vectors)('%s returns the same 401 as every other invalid token', async (what, forge) => {
    const answer = await ask(forge(workshop))
    expect(answer.status).toBe(401)
    expect(answer.body).toBe(refusal)
    const allowed = expired.includes(what) ? 'expired' : revoked.test(what) ? 'revoked' : undefined
    expect(reasonOf(answer.head)).toBe(allowed)
    const head = answer.head.map((line) => line.replace(reasonParameters, ''))
    expect(head).toContain('www-authenticate: Bearer')
    expect(head).toEqual([...(await ask('nonsense')).head])
  })
})

describe('the tokens used for these forgeries', () => {
  test('are valid, so that each rejection above has the named reason', async () => {
    expect((await ask(workshop.token)).status).toBe(200)
    expect((await ask(again(workshop))).status).toBe(200)
  })

  test('may have 4,096 characters and not one more', async () => {
    expect((await ask(longToken(workshop, 4096))).status).toBe(200)
    expect((await ask(longToken(workshop, 4097))).body).toBe(refusal)
    expect((await ask(longToken(workshop, 15_000))).body).toBe(refusal)
    // Bun limits a request head to 16 KB.
    expect((await ask(longToken(workshop, 20_000))).status).toBe(431)
  })
})

describe('a token of another installation', () => {
  test('is rejected even if its user and session exist here', async () => {
    const elsewhere = await serve({
      environment: { ...environment, SECRET_KEY: randomUUID(), DATABASE_URL: await createDatabase() },
    })
    const token = await accessToken(elsewhere.url, 'admin', environment.ADMIN_PASSWORD)
    expect((await ask(token)).body).toBe(refusal)
    await elsewhere.stop()
  })
})
