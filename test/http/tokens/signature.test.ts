import { describe, expect, test } from 'bun:test'
import { createHmac, createPublicKey, type KeyObject, randomUUID, sign } from 'node:crypto'
import fc from 'fast-check'
import { algorithms, type PairAlgorithm } from '../../../src/algorithms.ts'
import { readPublicKey } from '../../../src/domain/keys/keyPair.ts'
import { createAccessTokens } from '../../../src/http/tokens/accessTokens.ts'
import { isSignedBy } from '../../../src/http/tokens/signature.ts'
import { pairKeyRing, secretVerifier } from './fixedKeyRing.ts'

const pairAlgorithms = algorithms.filter((algorithm): algorithm is PairAlgorithm => algorithm !== 'HS256')
const secretKey = '0123456789abcdef0123456789abcdef'
const seconds = () => Math.floor(Date.now() / 1000)
const user = {
  id: randomUUID(),
  username: 'ada',
  full_name: 'Ada Lovelace',
  is_active: true,
  roles: ['admin', 'billing'],
  must_change_password: false,
}
const session = () => ({ id: randomUUID(), user, expiresAt: seconds() + 1800, refreshGeneration: null })
const goodClaims = () => ({
  iss: 'audittrail',
  aud: 'audittrail',
  sub: 'ada',
  uid: user.id,
  sid: randomUUID(),
  jti: randomUUID(),
  roles: [],
  iat: seconds(),
  exp: seconds() + 60,
})

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A token with a right signature over whatever it is given. */
function forge(algorithm: PairAlgorithm, privateKey: KeyObject, header: object, claims: object): string {
  const input = Buffer.from(`${encode(header)}.${encode(claims)}`)
  const key = algorithm === 'ES256' ? ({ key: privateKey, dsaEncoding: 'ieee-p1363' } as const) : privateKey
  return `${input}.${sign(algorithm === 'EdDSA' ? null : 'sha256', input, key).toString('base64url')}`
}

async function open(algorithm: PairAlgorithm) {
  // HS256 verifies beside it, as it does while ALGORITHM is being changed: the worst case for mistaking one for the other.
  const { pair, keyRing } = await pairKeyRing(algorithm, secretVerifier(secretKey))
  return { pair, tokens: createAccessTokens({ keyRing, issuer: 'audittrail', audience: 'audittrail' }, Date.now) }
}

const opened = Object.fromEntries(
  await Promise.all(pairAlgorithms.map(async (algorithm) => [algorithm, await open(algorithm)] as const)),
) as Record<PairAlgorithm, Awaited<ReturnType<typeof open>>>

describe.each(pairAlgorithms)('a token of %s', (algorithm) => {
  const { pair, tokens } = opened[algorithm]
  const { kid, privateKey, publicJwk } = pair
  const header = { alg: algorithm, kid, typ: 'at+jwt' }

  test('names its algorithm and its key, and is read by both verifiers', async () => {
    const token = await tokens.sign(session())
    expect(JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())).toEqual(header)
    expect(tokens.verify(token)).toMatchObject({ sub: 'ada', roles: ['admin', 'billing'] })
    expect(await tokens.verifyByLibrary(token)).toEqual(tokens.verify(token) as never)
    expect(token.length).toBeLessThan(1200)
  })

  test('and one forged for these tests with the private key are accepted', async () => {
    const token = forge(algorithm, privateKey, header, goodClaims())
    expect(tokens.verify(token)).toBeDefined()
    expect(await tokens.verifyByLibrary(token)).toBeDefined()
  })

  test('of the algorithm before is accepted beside it', async () => {
    const input = `${encode({ alg: 'HS256', typ: 'at+jwt' })}.${encode(goodClaims())}`
    const token = `${input}.${createHmac('sha256', secretKey).update(input).digest('base64url')}`
    expect(tokens.verify(token)).toBeDefined()
    expect(await tokens.verifyByLibrary(token)).toBeDefined()
  })

  const others = pairAlgorithms.filter((other) => other !== algorithm)
  test.each([
    ['no kid', { alg: algorithm, typ: 'at+jwt' }],
    ['a kid of nobody', { ...header, kid: 'A'.repeat(43) }],
    ['a kid that is a path', { ...header, kid: '../../dev/null' }],
    ['a kid that is no text', { ...header, kid: 1 }],
    ['a kid that is null', { ...header, kid: null }],
    ['a kid of many', { ...header, kid: [kid] }],
    ['no alg', { kid, typ: 'at+jwt' }],
    ['alg none', { ...header, alg: 'none' }],
    ['alg HS256', { ...header, alg: 'HS256' }],
    ['alg in lower case', { ...header, alg: algorithm.toLowerCase() }],
    ['typ JWT', { ...header, typ: 'JWT' }],
    ['crit', { ...header, crit: ['exp'] }],
    ['a key of its own', { ...header, jwk: publicJwk }],
    ['the address of a key', { ...header, jku: 'http://127.0.0.1/' }],
    ['a certificate of its own', { ...header, x5c: ['AAAA'] }],
    ...others.map((alg): [string, object] => [`alg ${alg}`, { ...header, alg }]),
  ])('with %s is refused by both verifiers', async (_what, odd) => {
    const token = forge(algorithm, privateKey, odd, goodClaims())
    expect(tokens.verify(token)).toBeUndefined()
    expect(await tokens.verifyByLibrary(token)).toBeUndefined()
    expect(await tokens.verifyByNewKey(token)).toBeUndefined()
  })

  test('of another key under the same kid is refused', async () => {
    const stranger = (await open(algorithm)).pair.privateKey
    const token = forge(algorithm, stranger, header, goodClaims())
    expect(tokens.verify(token)).toBeUndefined()
    expect(await tokens.verifyByLibrary(token)).toBeUndefined()
  })

  test('signed by HMAC with the public key, in any spelling of it, is refused', async () => {
    const publicKey = readPublicKey(publicJwk)
    const { use: _use, alg: _alg, kid: _kid, ...members } = publicJwk
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const pkcs1 = algorithm === 'RS256' ? [publicKey.export({ type: 'pkcs1', format: 'pem' }).toString()] : []
    const pkcs1Der = algorithm === 'RS256' ? [publicKey.export({ type: 'pkcs1', format: 'der' })] : []
    const der = publicKey.export({ type: 'spki', format: 'der' })
    const values = [members.n, members.e, members.x, members.y].flatMap((text) => text ?? [])
    const texts = [pem, ...pkcs1].flatMap((text) => [
      text,
      text.trimEnd(),
      text.replaceAll('\n', ''),
      text.replaceAll('\n', '\r\n'),
      text.replaceAll('\n', '\\n'),
      text.replace(/-----[^-]+-----/g, '').replaceAll('\n', ''),
    ])
    const spellings: (string | Buffer)[] = [
      ...texts,
      ...pkcs1Der,
      der,
      der.toString('base64'),
      der.toString('base64url'),
      der.toString('hex'),
      JSON.stringify(publicJwk),
      JSON.stringify(members),
      JSON.stringify({ keys: [publicJwk] }),
      JSON.stringify({ keys: [publicJwk] }, undefined, 2),
      kid,
      ...values,
      ...values.map((text) => Buffer.from(text, 'base64url')),
    ]
    for (const key of spellings) {
      for (const forged of [
        { alg: 'HS256', typ: 'at+jwt' },
        { alg: 'HS256', typ: 'at+jwt', kid },
        { alg: algorithm, typ: 'at+jwt', kid },
      ]) {
        const input = `${encode(forged)}.${encode(goodClaims())}`
        const token = `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`
        expect(tokens.verify(token)).toBeUndefined()
        expect(await tokens.verifyByNewKey(token)).toBeUndefined()
      }
    }
  })

  test('differs from no other that both verifiers take by a byte', async () => {
    const good = await tokens.sign(session())
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.constantFrom(...'ABab01-_.=+/ {'), async (at, character) => {
        const token = good.slice(0, at) + character + good.slice(at + 1)
        const expected = token === good
        expect(tokens.verify(token) !== undefined).toBe(expected)
        expect((await tokens.verifyByLibrary(token)) !== undefined).toBe(expected)
      }),
      { numRuns: 300 },
    )
  })

  test('is judged by both verifiers alike, whatever its header and its claims', async () => {
    const value = fc.oneof(
      fc.constant(undefined),
      fc.jsonValue(),
      fc.integer({ min: -10, max: 10 }).map((n) => seconds() + n),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          alg: fc.constantFrom(...algorithms, 'none', 'RS512'),
          typ: fc.constantFrom('at+jwt', 'at+jwt', 'JWT'),
          kid: fc.constantFrom(kid, kid, undefined, 'A'.repeat(43)),
        }),
        fc.constantFrom('iss', 'aud', 'sub', 'uid', 'sid', 'jti', 'roles', 'iat', 'exp', 'nbf'),
        value,
        async (odd, name, claim) => {
          const token = forge(algorithm, privateKey, odd, { ...goodClaims(), [name]: claim })
          expect(tokens.verify(token)).toEqual((await tokens.verifyByLibrary(token)) as never)
        },
      ),
      { numRuns: 300 },
    )
  })

  test('with a signature that is cut short, longer, empty or of zeros is refused', async () => {
    const [head, payload, signature = ''] = (await tokens.sign(session())).split('.')
    const bytes = Buffer.from(signature, 'base64url')
    const odd = [
      bytes.subarray(0, -1),
      bytes.subarray(1),
      Buffer.concat([bytes, Buffer.alloc(1)]),
      Buffer.concat([Buffer.alloc(1), bytes]),
      Buffer.concat([bytes, bytes]),
      Buffer.alloc(bytes.length),
      Buffer.alloc(bytes.length, 0xff),
      Buffer.alloc(1),
    ]
    for (const wrong of odd) {
      const token = `${head}.${payload}.${wrong.toString('base64url')}`
      expect(tokens.verify(token)).toBeUndefined()
      expect(await tokens.verifyByLibrary(token)).toBeUndefined()
    }
  })
})

test('ES256 takes r and s as they are, and not in DER', () => {
  const { pair, tokens } = opened.ES256
  const input = Buffer.from(`${encode({ alg: 'ES256', kid: pair.kid, typ: 'at+jwt' })}.${encode(goodClaims())}`)
  const der = sign('sha256', input, pair.privateKey)
  expect(tokens.verify(`${input}.${der.toString('base64url')}`)).toBeUndefined()
})

// RFC 8037, appendix A.4, and RFC 7515, appendices A.2 and A.3: keys and signatures that others have made.
describe('the examples of the RFCs', () => {
  const verifies = (algorithm: PairAlgorithm, jwk: Record<string, string>, token: string) => {
    const [head = '', payload = '', signature = ''] = token.split('.')
    const jws = {
      header: {},
      claims: {},
      signingInput: `${head}.${payload}`,
      signature: Buffer.from(signature, 'base64url'),
    }
    const publicKey = createPublicKey({ key: jwk, format: 'jwk' })
    return isSignedBy(jws, { algorithm, kid: '', publicKey, publicJwk: jwk as never, verifiesUntil: 0 })
  }

  test('EdDSA', () => {
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }
    const token =
      'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg'
    expect(verifies('EdDSA', jwk, token)).toBe(true)
    expect(verifies('EdDSA', jwk, token.replace('RXhh', 'RXhi'))).toBe(false)
  })

  test('ES256', () => {
    const jwk = {
      kty: 'EC',
      crv: 'P-256',
      x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
      y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
    }
    const token =
      'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q'
    expect(verifies('ES256', jwk, token)).toBe(true)
    expect(verifies('ES256', jwk, token.replace('eyJpc3', 'eyJpc2'))).toBe(false)
  })

  test('RS256', () => {
    const jwk = {
      kty: 'RSA',
      n: 'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ',
      e: 'AQAB',
    }
    const token =
      'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw'
    expect(verifies('RS256', jwk, token)).toBe(true)
    expect(verifies('RS256', jwk, token.replace('eyJpc3', 'eyJpc2'))).toBe(false)
  })
})
