import { describe, expect, test } from 'bun:test'
import { createPublicKey, sign } from 'node:crypto'
import type { PairAlgorithm } from '../../../src/algorithms.ts'
import { isSignedBy } from '../../../src/http/tokens/signature.ts'
import { newSession } from './forgedTokens.ts'
import { encode, goodClaims, openedKeyPairs, pairAlgorithms } from './keyPairTokens.ts'

describe.each(pairAlgorithms)('%s signature', (algorithm) => {
  const { tokens, verifyByLibrary } = openedKeyPairs[algorithm]

  test('is rejected if cut short, lengthened, repeated, or all zeros or ones', async () => {
    const [head, payload, signature = ''] = (await tokens.sign(newSession())).split('.')
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
      expect(await verifyByLibrary(token)).toBeUndefined()
    }
  })
})

describe('ES256 signature', () => {
  test('is rejected in DER: ES256 takes r and s (RFC 7518 §3.4)', () => {
    const { pair, tokens } = openedKeyPairs.ES256
    const input = Buffer.from(`${encode({ alg: 'ES256', kid: pair.kid, typ: 'at+jwt' })}.${encode(goodClaims())}`)
    const der = sign('sha256', input, pair.privateKey)
    expect(tokens.verify(`${input}.${der.toString('base64url')}`)).toBeUndefined()
  })
})

// RFC 8037, appendix A.4, and RFC 7515, appendices A.2 and A.3.
describe('signature example of the RFC', () => {
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

  test('for EdDSA verifies, and not with a changed payload', () => {
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }
    const token =
      'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg'
    expect(verifies('EdDSA', jwk, token)).toBe(true)
    expect(verifies('EdDSA', jwk, token.replace('RXhh', 'RXhi'))).toBe(false)
  })

  test('for ES256 verifies, and not with a changed payload', () => {
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

  test('for RS256 verifies, and not with a changed payload', () => {
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
