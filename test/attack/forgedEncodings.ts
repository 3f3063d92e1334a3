import { base64url, hmac, signed, type Vector, type Workshop } from './forgery.ts'

/** The three parts of the valid token. */
const parts = ({ token }: Workshop): [string, string, string] => token.split('.') as [string, string, string]

/** Returns the valid token with another signature. */
const signature =
  (change: (signature: string, workshop: Workshop) => string): Vector[1] =>
  (workshop) => {
    const [header, claims, mac] = parts(workshop)
    return `${header}.${claims}.${change(mac, workshop)}`
  }

/**
 * Returns another encoding of the header or claims, signed again, so that only the encoding is
 * wrong.
 */
const respelt =
  (which: 0 | 1, change: (part: string) => string): Vector[1] =>
  (workshop) => {
    const input = parts(workshop).slice(0, 2)
    input[which] = change(input[which] ?? '')
    return signed(input.join('.'), hmac(workshop.secretKey))
  }

const bytes = (length: number, value = 0) => Buffer.alloc(length, value).toString('base64url')

/**
 * Returns another last character for the same bytes: base64's unused bits are not zero (RFC 4648
 * §3.5).
 */
function withSpareBits(text: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return text.slice(0, -1) + alphabet[alphabet.indexOf(text.slice(-1)) + 1]
}

const general = (workshop: Workshop) => {
  const [protectedHeader, payload, mac] = parts(workshop)
  return { payload, signatures: [{ protected: protectedHeader, signature: mac }] }
}
const flattened = (workshop: Workshop) => {
  const [protectedHeader, payload, mac] = parts(workshop)
  return { payload, protected: protectedHeader, signature: mac }
}

export const encodingVectors: readonly Vector[] = [
  ['no signature', signature(() => '')],
  ['no signature and no dot', (w) => parts(w).slice(0, 2).join('.')],
  ['a signature of zeros (CVE-2022-21449)', signature(() => bytes(32))],
  ['a signature of zeros of ECDSA', signature(() => bytes(64))],
  ['a signature of ones', signature(() => bytes(32, 255))],
  ['a signature of one byte', signature(() => 'AA')],
  [
    'a signature cut by a byte',
    signature((mac) => Buffer.from(mac, 'base64url').subarray(0, 31).toString('base64url')),
  ],
  ['a signature cut by half', signature((mac) => Buffer.from(mac, 'base64url').subarray(0, 16).toString('base64url'))],
  ['a signature cut by a character', signature((mac) => mac.slice(0, -1))],
  [
    'a signature with a byte more',
    signature((mac) => base64url(Buffer.concat([Buffer.from(mac, 'base64url'), Buffer.from([0])]))),
  ],
  ['the first byte of the signature changed', signature((mac) => flip(mac, 0))],
  ['the last byte of the signature changed', signature((mac) => flip(mac, 31))],
  ['the signature of another token', signature((_mac, { other }) => other.split('.')[2] ?? '')],
  ['the claims of another token', (w) => [parts(w)[0], w.other.split('.')[1], parts(w)[2]].join('.')],
  ['a signature in hexadecimal', signature((mac) => Buffer.from(mac, 'base64url').toString('hex'))],
  ['a signature in base64 of base64', signature((mac) => base64url(mac))],
  ['a signature with padding', signature((mac) => `${mac}=`)],
  ['a signature with padding escaped', signature((mac) => `${mac}%3D`)],
  ['a signature with spare bits', signature(withSpareBits)],
  ['a signature with a space', signature((mac) => `${mac.slice(0, 9)} ${mac.slice(9)}`)],
  ['a signature with a tab', signature((mac) => `${mac.slice(0, 9)}\t${mac.slice(9)}`)],
  [
    'a signature in the other alphabet',
    signature((mac) => Buffer.from(mac, 'base64url').toString('base64').padEnd(43, '+')),
  ],
  ['a signature with characters that decoders skip', signature((mac) => `${mac.slice(0, 9)}!*~${mac.slice(9)}`)],
  ['a signature with bytes beyond ASCII', signature((mac) => `${mac}\xa0\xff`)],
  ['an empty header', respelt(0, () => '')],
  ['empty claims', respelt(1, () => '')],
  ['dots alone', () => '..'],
  ['one dot', () => '.'],
  ['a header with padding', respelt(0, (part) => `${part}=`)],
  ['claims with padding', respelt(1, (part) => `${part}==`)],
  ['claims with skipped characters', respelt(1, (part) => `${part}!!`)],
  ['claims in base64 of base64', respelt(1, (part) => base64url(part))],
  ['claims as they stand', respelt(1, (part) => Buffer.from(part, 'base64url').toString())],
  ['the signature first', (w) => [parts(w)[2], parts(w)[0], parts(w)[1]].join('.')],
  ['a dot in front', (w) => `.${w.token}`],
  ['a trailing dot', (w) => `${w.token}.`],
  ['four parts', (w) => `${w.token}.${parts(w)[2]}`],
  ['five parts (a JWE)', (w) => `${w.token}.${parts(w)[2]}.${parts(w)[2]}`],
  ['the parts of a JWE of alg dir', (w) => `${base64url('{"alg":"dir","enc":"A256GCM"}')}..${parts(w)[1]}.AAAA.AAAA`],
  ['a thousand parts', (w) => `${w.token}${'.A'.repeat(1000)}`],
  ['a detached payload (RFC 7515, appendix F)', (w) => `${parts(w)[0]}..${parts(w)[2]}`],
  ['a token in a token', (w) => signed(`${parts(w)[0]}.${base64url(w.token)}`, hmac(w.secretKey))],
  ['a token in quotes', (w) => `"${w.token}"`],
  ['the token in capitals', (w) => w.token.toUpperCase()],
  ['the token backwards', (w) => [...w.token].reverse().join('')],
  ['percent escapes', (w) => w.token.replace('.', '%2E')],
  ['JSON serialisation, flattened', (w) => JSON.stringify(flattened(w))],
  ['JSON serialisation, general', (w) => JSON.stringify(general(w))],
  ['JSON serialisation in base64', (w) => base64url(JSON.stringify(flattened(w)))],
  ['JSON with an unprotected header', (w) => JSON.stringify({ ...flattened(w), header: { alg: 'none' } })],
  ['fifteen thousand characters', () => 'a'.repeat(15_000)],
  ['fifteen thousand dots', () => '.'.repeat(15_000)],
]

function flip(mac: string, at: number): string {
  const changed = Buffer.from(mac, 'base64url')
  changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
  return changed.toString('base64url')
}
