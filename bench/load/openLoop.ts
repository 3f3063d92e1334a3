/**
 * An open-loop prober in its own process: `bun bench/load/openLoop.ts < options`. Sends requests on
 * schedule, and measures from the scheduled time, so a stall counts for every request due in it.
 * Prints one line of JSON.
 */
export interface OpenLoop {
  readonly url: string
  readonly tokens: readonly string[]
  /** Requests per second. */
  readonly rate: number
  readonly seconds: number
}

const { url, tokens, rate, seconds }: OpenLoop = await Bun.stdin.json()
const latencies: number[] = []
let refused = 0

const count = rate * seconds
const started = performance.now() + 50
const requests: Promise<void>[] = []
for (let number = 0; number < count; number++) {
  const due = started + (number * 1000) / rate
  const wait = due - performance.now()
  if (wait > 0) await Bun.sleep(wait)
  requests.push(send(due, tokens[number % tokens.length]))
}
await Promise.all(requests)

latencies.sort((a, b) => a - b)
const percentile = (p: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * p))] ?? 0
console.log(JSON.stringify({ p50: percentile(0.5), p99: percentile(0.99), refused }))

async function send(due: number, token: string | undefined): Promise<void> {
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } })
  await response.text()
  if (response.status !== 200) refused++
  latencies.push(performance.now() - due)
}
