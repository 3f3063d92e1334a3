import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto'

/** A witness key that cosigns whatever it is given. */
export interface TestWitness {
  readonly vkey: string
  /** Returns a signature line with its newline. */
  cosign(text: string, time: number): string
}

export function createTestWitness(name: string, seed: number): TestWitness {
  const prefix = Buffer.from('302e020100300506032b657004220420', 'hex')
  const key = createPrivateKey({
    key: Buffer.concat([prefix, Buffer.alloc(32, seed)]),
    format: 'der',
    type: 'pkcs8',
  })
  const typed = Buffer.concat([Buffer.of(4), createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(12)])
  const id = createHash('sha256').update(`${name}\n`).update(typed).digest().subarray(0, 4)
  return {
    vkey: `${name}+${id.toString('hex')}+${typed.toString('base64')}`,
    cosign: (text, time) => {
      const stamp = Buffer.alloc(8)
      stamp.writeBigUInt64BE(BigInt(time))
      const signature = sign(null, Buffer.from(`cosignature/v1\ntime ${time}\n${text}`), key)
      return `— ${name} ${Buffer.concat([id, stamp, signature]).toString('base64')}\n`
    },
  }
}
