import { readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { startServer } from '../test/postgresqlServer.ts'
import { signIn } from './database/service.ts'
import { load } from './load/client.ts'
import { get, post } from './load/requests.ts'
import { binary, type Started, start } from './machine/process.ts'
import { describeMachine } from './machine/readings.ts'
import { password } from './options.ts'

/**
 * `bun bench/capacity.ts`: the table of docs/operations.md, by cores (taskset) and hash cost. With
 * one core, client and database use the others; with all cores they compete. On a busy machine,
 * only the CPU time is reliable.
 */
const seconds = Number(process.env.SECS ?? 6)
const rounds = Number(process.env.ROUNDS ?? 3)
const processors = [1, 2] as const
const hashCosts = [
  { memoryKib: 19_456, timeCost: 2 },
  { memoryKib: 65_536, timeCost: 2 },
  { memoryKib: 65_536, timeCost: 3 },
  { memoryKib: 131_072, timeCost: 2 },
] as const

interface Measured {
  readonly logins: number
  /** Milliseconds of CPU time per sign-in, and per request with a token. */
  readonly loginCost: number
  readonly requestCost: number
  readonly p50: number
  readonly p99: number
  readonly requests: number
  readonly peak: number
}

console.log(`${describeMachine()}; load average ${loadavg()[0]?.toFixed(1)} before; ${rounds} rounds of ${seconds} s\n`)
console.log(
  '| cores | memory of a hash, KiB | passes | CPU per sign-in, ms | sign-ins/s | p50, ms | p99, ms | CPU per `/auth/me`, ms | `/auth/me`/s | memory, MB |',
)
console.log('|---|---|---|---|---|---|---|---|---|---|')
const measured = new Map<string, Measured[]>()
for (let round = 0; round < rounds; round++) {
  for (const cores of processors) {
    for (const hashCost of hashCosts) {
      const row = `| ${cores} | ${hashCost.memoryKib} | ${hashCost.timeCost}`
      measured.set(row, [...(measured.get(row) ?? []), await measure(cores, hashCost)])
    }
  }
}
for (const [row, runs] of measured) {
  const median = (value: (run: Measured) => number) => runs.map(value).toSorted((a, b) => a - b)[runs.length >> 1] ?? 0
  const figures = [
    median(({ loginCost }) => loginCost).toFixed(1),
    median(({ logins }) => logins).toFixed(1),
    median(({ p50 }) => p50).toFixed(0),
    median(({ p99 }) => p99).toFixed(0),
    median(({ requestCost }) => requestCost).toFixed(3),
    median(({ requests }) => requests).toFixed(0),
    median(({ peak }) => peak).toFixed(0),
  ]
  console.log(`${row} | ${figures.join(' | ')} |`)
}
console.log(`\nload average ${loadavg()[0]?.toFixed(1)} after`)

async function measure(cores: number, { memoryKib, timeCost }: (typeof hashCosts)[number]): Promise<Measured> {
  const database = await startServer([])
  const server = await start({
    file: 'taskset',
    args: ['-c', Array.from({ length: cores }, (_, core) => core).join(','), binary],
    path: '/api/ready',
    environment: {
      PATH: process.env.PATH ?? '',
      DATABASE_URL: database.url,
      SECRET_KEY: 'k'.repeat(32),
      ADMIN_PASSWORD: password,
      PASSWORD_MEMORY_KIB: String(memoryKib),
      PASSWORD_TIME_COST: String(timeCost),
      LOG_LEVEL: 'warn',
    },
  })
  try {
    const { port } = server
    const requests = [post('/api/auth/login', { username: 'admin', password })]
    await load({ port, connections: cores, seconds: 1, requests })
    // Twice as many as hash slots: one waits for each.
    const logins = await costOf(server, () => load({ port, connections: cores * 2, seconds, requests }))
    const { access_token: token = '' } = await signIn(port, 'admin')
    const reads = await costOf(server, () =>
      load({ port, seconds: seconds / 2, requests: [get('/api/auth/me', token)] }),
    )
    const { perSecond, p50, p99 } = logins.outcome
    return {
      logins: perSecond,
      loginCost: logins.cpuMilliseconds / (perSecond * seconds),
      p50,
      p99,
      requests: reads.outcome.perSecond,
      requestCost: reads.cpuMilliseconds / ((reads.outcome.perSecond * seconds) / 2),
      peak: peakMegabytes(server),
    }
  } finally {
    await server.stop()
    await database.stop()
  }
}

/** Returns the result of `work` and the server's CPU time during it, in milliseconds. */
async function costOf<Outcome>({ process: { pid } }: Started, work: () => Promise<Outcome>) {
  const before = cpuMillisecondsOf(pid)
  const outcome = await work()
  return { outcome, cpuMilliseconds: cpuMillisecondsOf(pid) - before }
}

/** Reads utime and stime (fields 14 and 15 of proc_pid_stat(5)), in hundredths of a second. */
function cpuMillisecondsOf(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** Returns the peak resident memory. */
function peakMegabytes({ process: { pid } }: Started): number {
  return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1000
}
