/**
 * An open-loop prober in a process of its own: `bun bench/probe.ts URL TOKEN RATE SECONDS`. Asks at fixed moments whether or not the
 * answers before have come, and counts from those moments, so that a stall is seen by all who would have asked in it. One line of JSON.
 */
const [url = '', token = '', rate = '', seconds = ''] = process.argv.slice(2)
const headers = { authorization: `Bearer ${token}` }
const latencies: number[] = []
let refused = 0

const count = Number(rate) * Number(seconds)
const began = performance.now() + 50
const asked: Promise<void>[] = []
for (let number = 0; number < count; number++) {
  const due = began + (number * 1000) / Number(rate)
  const wait = due - performance.now()
  if (wait > 0) await Bun.sleep(wait)
  asked.push(ask(due))
}
await Promise.all(asked)

latencies.sort((a, b) => a - b)
const percentile = (p: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * p))] ?? 0
console.log(JSON.stringify({ p50: percentile(0.5), p99: percentile(0.99), refused }))

async function ask(due: number): Promise<void> {
  const response = await fetch(url, { headers })
  await response.text()
  if (response.status !== 200) refused++
  latencies.push(performance.now() - due)
}

export {}
