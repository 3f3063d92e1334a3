import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { base64url, hmac, signed, tokenOf, type Vector, withHeader } from './forgery.ts'

const unsigned =
  (alg: unknown): Vector[1] =>
  ({ header, claims }) =>
    `${base64url(JSON.stringify({ ...header, alg }))}.${base64url(JSON.stringify(claims))}.`

const nones = ['none', 'None', 'NONE', 'nOnE', 'none ', ' none', 'none\0', 'non\u0435', '']
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const ed = generateKeyPairSync('ed25519')
const p1363 = { key: ec.privateKey, dsaEncoding: 'ieee-p1363' } as const
const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }) as string
const mallory = 'a key of mallory, long enough to sign with'

export const headerVectors: readonly Vector[] = [
  ...nones.flatMap((alg): Vector[] => [
    [`alg ${JSON.stringify(alg)} without a signature`, unsigned(alg)],
    [`alg ${JSON.stringify(alg)} with a right signature`, withHeader({ alg })],
  ]),
  ...['hs256', 'HS256 ', 'HS256\0', 'HMAC', 'A256KW', 'dir', null, 0, true, ['HS256'], { HS256: 1 }].map(
    (alg): Vector => [`alg ${JSON.stringify(alg)}`, withHeader({ alg })],
  ),
  ['no alg', withHeader({ alg: undefined })],
  ['HS384, correctly signed', (w) => withHeader({ alg: 'HS384' }, hmac(w.secretKey, 'sha384'))(w)],
  ['HS512, correctly signed', (w) => withHeader({ alg: 'HS512' }, hmac(w.secretKey, 'sha512'))(w)],
  ['HS256 over a signature of HS512', (w) => withHeader({}, hmac(w.secretKey, 'sha512'))(w)],
  ...['RS256', 'PS256', 'ES256', 'ES256K', 'EdDSA', 'Ed25519'].map(
    (alg): Vector => [`alg ${alg} over an HMAC of the key`, withHeader({ alg })],
  ),
  ['RS256 with its own key in jwk', withHeader({ alg: 'RS256', jwk: rsa.publicKey.export({ format: 'jwk' }) }, byRsa)],
  ['ES256 with its own key in jwk', withHeader({ alg: 'ES256', jwk: ec.publicKey.export({ format: 'jwk' }) }, byEc)],
  ['EdDSA with its own key in jwk', withHeader({ alg: 'EdDSA', jwk: ed.publicKey.export({ format: 'jwk' }) }, byEd)],
  [
    'HS256 with its own key in jwk',
    withHeader({ jwk: { kty: 'oct', k: base64url(mallory), alg: 'HS256' } }, hmac(mallory)),
  ],
  ['HS256 with its own public key in jwk', withHeader({ jwk: rsa.publicKey.export({ format: 'jwk' }) }, hmac(pem))],
  ['jwk beside a right signature', withHeader({ jwk: { kty: 'oct', k: 'AA' } })],
  ['jku', withHeader({ jku: 'http://127.0.0.1:9/keys.json' })],
  ['x5u', withHeader({ x5u: 'http://127.0.0.1:9/cert.pem' })],
  [
    'x5c',
    withHeader(
      { alg: 'RS256', x5c: [rsa.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')] },
      byRsa,
    ),
  ],
  ['x5t', withHeader({ x5t: createHash('sha1').update('x').digest('base64url') })],
  ...[
    '../../../../dev/null',
    "x' UNION SELECT 'k",
    'http://127.0.0.1:9/',
    '|sleep 5',
    '',
    '0',
    0,
    null,
    ['0'],
    {},
  ].flatMap((kid): Vector[] => [
    [`kid ${JSON.stringify(kid)} and an empty key`, withHeader({ kid }, hmac(''))],
    [`kid ${JSON.stringify(kid)} and a right signature`, withHeader({ kid })],
  ]),
  ...[['exp'], [], ['b64'], ['unknown'], ['alg'], 'exp', null, {}].map(
    (crit): Vector => [`crit ${JSON.stringify(crit)}`, withHeader({ crit })],
  ),
  ['b64 true', withHeader({ b64: true, crit: ['b64'] })],
  ['b64 false', withHeader({ b64: false })],
  [
    'b64 false over a payload as it stands (RFC 7797)',
    ({ header, claims, secretKey }) =>
      signed(
        `${base64url(JSON.stringify({ ...header, b64: false, crit: ['b64'] }))}.${JSON.stringify(claims)}`,
        hmac(secretKey),
      ),
  ],
  ...[
    'JWT',
    'jwt',
    'AT+JWT',
    'at+JWT',
    'application/at+jwt',
    'at+jwt ',
    'at jwt',
    'dpop+jwt',
    '',
    null,
    1,
    ['at+jwt'],
  ].map((typ): Vector => [`typ ${JSON.stringify(typ)}`, withHeader({ typ })]),
  ['no typ', withHeader({ typ: undefined })],
  ['cty', withHeader({ cty: 'JWT' })],
  ['zip', withHeader({ zip: 'DEF' })],
  ['enc', withHeader({ enc: 'A256GCM' })],
  ['a header with __proto__', textOfHeader((text) => text.replace('{', '{"__proto__":{"alg":"none"},'))],
  ['a header with constructor', withHeader({ constructor: { prototype: { alg: 'none' } } })],
  ['a header that is a list', textOfHeader((text) => `[${text}]`)],
  ['a header that is null', textOfHeader(() => 'null')],
  ['a header that is a text', textOfHeader((text) => JSON.stringify(text))],
  ['an empty object for a header', textOfHeader(() => '{}')],
  ['alg twice, the right one last', textOfHeader((text) => text.replace('{', '{"alg":"none",'))],
  ['alg twice, the right one first', textOfHeader((text) => text.replace('}', ',"alg":"none"}'))],
  ['alg twice alike', textOfHeader((text) => text.replace('{', '{"alg":"HS256",'))],
  ['alg twice, once escaped', textOfHeader((text) => text.replace('{', '{"al\\u0067":"none",'))],
  ['alg escaped', textOfHeader((text) => text.replace('"alg"', '"al\\u0067"'))],
  ['HS256 escaped', textOfHeader((text) => text.replace('HS256', 'HS\\u003256'))],
  ['white space in the header', textOfHeader((text) => text.replace(':', ': '))],
  ['a byte order mark before the header', textOfHeader((text) => `\ufeff${text}`)],
  ['text after the header', textOfHeader((text) => `${text}{}`)],
]

function textOfHeader(change: (text: string) => string): Vector[1] {
  return ({ header, claims, secretKey }) =>
    tokenOf(change(JSON.stringify(header)), JSON.stringify(claims), hmac(secretKey))
}

function byRsa(input: string): Buffer {
  return sign('sha256', Buffer.from(input), rsa.privateKey)
}

function byEc(input: string): Buffer {
  return sign('sha256', Buffer.from(input), p1363)
}

function byEd(input: string): Buffer {
  return sign(null, Buffer.from(input), ed.privateKey)
}
