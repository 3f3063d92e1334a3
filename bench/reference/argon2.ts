import { verify } from '@node-rs/argon2'

/**
 * The limit of logins, in its own process: `HASH=… PASSWORD=… bun bench/reference/argon2.ts CLIENTS
 * SECONDS` verifies with native argon2 and nothing else. Prints the rate as JSON.
 */
const [clients = '', seconds = ''] = process.argv.slice(2)
const { HASH: hash = '', PASSWORD: password = '' } = process.env
const started = performance.now()
const deadline = started + Number(seconds) * 1000
let done = 0

async function verifyUntilDeadline(): Promise<void> {
  while (performance.now() < deadline) {
    if (!(await verify(hash, password))) throw new Error('The hash does not verify.')
    done++
  }
}

await Promise.all(Array.from({ length: Number(clients) }, verifyUntilDeadline))
console.log(JSON.stringify({ perSecond: done / ((performance.now() - started) / 1000) }))
