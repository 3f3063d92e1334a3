import { expect, test } from 'bun:test'
import { pbkdf2Sync, scryptSync } from 'node:crypto'
import { readHash } from '../../../src/domain/passwords/readHash.ts'

const decoy = 'decoy'

test.each([
  ['sha1', 20, `$pbkdf2$10$c2FsdA$${'A'.repeat(27)}`],
  ['sha256', 32, `pbkdf2_sha256$10$salt$${'A'.repeat(43)}=`],
  ['sha512', 64, `$pbkdf2-sha512$10$c2FsdA$${'A'.repeat(86)}`],
])('a decoy of PBKDF2 with %s computes the rounds it is given', async (digest, bytes, hash) => {
  const work = readHash(hash)?.work
  expect(work).toMatchObject({ kind: `PBKDF2 with ${digest}`, amount: 10 })
  expect(await work?.spend(7)).toEqual(pbkdf2Sync(decoy, Buffer.alloc(bytes), 7, bytes, digest))
})

test('PBKDF2: counts the rounds of every block of a longer key', () => {
  const hash = `$pbkdf2-sha256$10$c2FsdA$${'A'.repeat(86)}`
  expect(readHash(hash)?.work).toMatchObject({ kind: 'PBKDF2 with sha256', amount: 20 })
})

test('scrypt: a decoy computes the N, r and p of the hash', async () => {
  const work = readHash(`scrypt$1024$salt$8$3$${'A'.repeat(86)}==`)?.work
  expect(work).toMatchObject({ kind: 'scrypt with N=1024, r=8, p=3', amount: 1 })
  expect(await work?.spend(1)).toEqual(scryptSync(decoy, Buffer.alloc(16), 32, { N: 1024, r: 8, p: 3 }))
})
