import { describe, expect, test } from 'bun:test'
import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { algorithms } from '../../../src/algorithms.ts'
import { readPublicKey } from '../../../src/domain/keys/keyPair.ts'
import { newSession, secretKey } from './forgedTokens.ts'
import {
  encode,
  forgeWithKeyPair,
  goodClaims,
  openedKeyPairs,
  openKeyPair,
  pairAlgorithms,
  seconds,
} from './keyPairTokens.ts'

describe.each(pairAlgorithms)('%s token', (algorithm) => {
  const { pair, tokens, verifyByLibrary } = openedKeyPairs[algorithm]
  const { kid, privateKey, publicJwk } = pair
  const header = { alg: algorithm, kid, typ: 'at+jwt' }

  test('names its algorithm and key, and is accepted by both verifiers', async () => {
    const token = await tokens.sign(newSession())
    expect(JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())).toEqual(header)
    expect(tokens.verify(token)).toMatchObject({ sub: 'ada', roles: ['admin', 'billing'] })
    expect(await verifyByLibrary(token)).toEqual(tokens.verify(token) as never)
    expect(token.length).toBeLessThan(1200)
  })

  test('is accepted when forged with the private key', async () => {
    const token = forgeWithKeyPair(algorithm, privateKey, header, goodClaims())
    expect(tokens.verify(token)).toBeDefined()
    expect(await verifyByLibrary(token)).toBeDefined()
  })

  test('does not replace HS256 tokens: both are accepted during a change of ALGORITHM', async () => {
    const input = `${encode({ alg: 'HS256', typ: 'at+jwt' })}.${encode(goodClaims())}`
    const token = `${input}.${createHmac('sha256', secretKey).update(input).digest('base64url')}`
    expect(tokens.verify(token)).toBeDefined()
    expect(await verifyByLibrary(token)).toBeDefined()
  })

  const others = pairAlgorithms.filter((other) => other !== algorithm)
  test.each([
    ['no kid', { alg: algorithm, typ: 'at+jwt' }],
    ['an unknown kid', { ...header, kid: 'A'.repeat(43) }],
    ['a kid that is a path', { ...header, kid: '../../dev/null' }],
    ['a number as kid', { ...header, kid: 1 }],
    ['a kid that is null', { ...header, kid: null }],
    ['an array as kid', { ...header, kid: [kid] }],
    ['no alg', { kid, typ: 'at+jwt' }],
    ['alg none', { ...header, alg: 'none' }],
    ['alg HS256', { ...header, alg: 'HS256' }],
    ['alg in lower case', { ...header, alg: algorithm.toLowerCase() }],
    ['typ JWT', { ...header, typ: 'JWT' }],
    ['crit', { ...header, crit: ['exp'] }],
    ['an embedded key', { ...header, jwk: publicJwk }],
    ['a key URL', { ...header, jku: 'http://127.0.0.1/' }],
    ['an embedded certificate', { ...header, x5c: ['AAAA'] }],
    ...others.map((alg): [string, object] => [`alg ${alg}`, { ...header, alg }]),
  ])('is rejected by both verifiers with %s', async (_what, odd) => {
    const token = forgeWithKeyPair(algorithm, privateKey, odd, goodClaims())
    expect(tokens.verify(token)).toBeUndefined()
    expect(await verifyByLibrary(token)).toBeUndefined()
    expect(await tokens.verifyByNewKey(token)).toBeUndefined()
  })

  test('is rejected if another key signed under the same kid', async () => {
    const stranger = (await openKeyPair(algorithm)).pair.privateKey
    const token = forgeWithKeyPair(algorithm, stranger, header, goodClaims())
    expect(tokens.verify(token)).toBeUndefined()
    expect(await verifyByLibrary(token)).toBeUndefined()
  })

  test('is rejected if signed by HMAC with any encoding of the public key', async () => {
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
    const encodings: (string | Buffer)[] = [
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
    for (const key of encodings) {
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

  test('is rejected by both verifiers after any one-character change', async () => {
    const good = await tokens.sign(newSession())
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.constantFrom(...'ABab01-_.=+/ {'), async (at, character) => {
        const token = good.slice(0, at) + character + good.slice(at + 1)
        const expected = token === good
        expect(tokens.verify(token) !== undefined).toBe(expected)
        expect((await verifyByLibrary(token)) !== undefined).toBe(expected)
      }),
      { numRuns: 300 },
    )
  })

  test('gets the same result from both verifiers for any header and claims', async () => {
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
          const token = forgeWithKeyPair(algorithm, privateKey, odd, { ...goodClaims(), [name]: claim })
          const second = seconds()
          const results = [tokens.verify(token), await verifyByLibrary(token)]
          // A claim may become valid between the two.
          fc.pre(seconds() === second)
          expect(results[0]).toEqual(results[1] as never)
        },
      ),
      { numRuns: 300 },
    )
  })
})
