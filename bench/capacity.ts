import { readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { startServer } from '../test/postgresqlServer.ts'
import { binary, describeMachine, load, type Started, start } from './machine.ts'

/**
 * `bun bench/capacity.ts`: the table of docs/operations.md. How many sign-ins and requests with a token one process answers in a
 * second, what memory it takes, and how much of a processor one of them costs, by cores (taskset) and by the price of a hash. Client and
 * database are on the same machine: beside one core of the server they have the others, beside all of them they share. The processor's
 * time is what counts where a machine is busy with other things. A line of Markdown for each.
 */
const seconds = Number(process.env.SECONDS ?? 6)
const rounds = Number(process.env.ROUNDS ?? 3)
const password = 'correct horse battery staple'
const processors = [1, 2] as const
const prices = [
  { memoryKib: 19_456, timeCost: 2 },
  { memoryKib: 65_536, timeCost: 2 },
  { memoryKib: 65_536, timeCost: 3 },
  { memoryKib: 131_072, timeCost: 2 },
] as const

interface Measured {
  readonly logins: number
  /** Milliseconds of a processor for a sign-in, and for a request with a token. */
  readonly loginCost: number
  readonly requestCost: number
  readonly p50: number
  readonly p99: number
  readonly requests: number
  readonly peak: number
}

console.log(`${describeMachine()}; load average ${loadavg()[0]?.toFixed(1)} before; ${rounds} rounds of ${seconds} s\n`)
console.log(
  '| cores | memory of a hash, KiB | passes | processor for a sign-in, ms | sign-ins/s | half within, ms | 99 % within, ms | processor for `/auth/me`, ms | `/auth/me`/s | memory, MB |',
)
console.log('|---|---|---|---|---|---|---|---|---|---|')
const measured = new Map<string, Measured[]>()
for (let round = 0; round < rounds; round++) {
  for (const cores of processors) {
    for (const price of prices) {
      const row = `| ${cores} | ${price.memoryKib} | ${price.timeCost}`
      measured.set(row, [...(measured.get(row) ?? []), await measure(cores, price)])
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

async function measure(cores: number, { memoryKib, timeCost }: (typeof prices)[number]): Promise<Measured> {
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
    const login = loginRequest()
    await load(server.port, cores, 1, login)
    // Twice as many as there are places: one waits behind each.
    const logins = await costOf(server, () => load(server.port, cores * 2, seconds, login))
    const request = await meRequest(server.port)
    const requests = await costOf(server, () => load(server.port, 32, seconds / 2, request))
    const { perSecond, p50, p99 } = logins.outcome
    return {
      logins: perSecond,
      loginCost: logins.spent / (perSecond * seconds),
      p50,
      p99,
      requests: requests.outcome.perSecond,
      requestCost: requests.spent / ((requests.outcome.perSecond * seconds) / 2),
      peak: peakMegabytes(server),
    }
  } finally {
    await server.stop()
    await database.stop()
  }
}

/** What comes of `work`, and the milliseconds of a processor that the server has spent meanwhile. */
async function costOf<Outcome>({ process: { pid } }: Started, work: () => Promise<Outcome>) {
  const before = spentMilliseconds(pid)
  const outcome = await work()
  return { outcome, spent: spentMilliseconds(pid) - before }
}

/** Fields 14 and 15 of proc_pid_stat(5), in hundredths of a second. */
function spentMilliseconds(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** The most memory that was resident at once. */
function peakMegabytes({ process: { pid } }: Started): number {
  return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1000
}

function loginRequest(): string {
  const form = new URLSearchParams({ username: 'admin', password }).toString()
  return `POST /api/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\n\r\n${form}`
}

async function meRequest(port: number): Promise<string> {
  const body = new URLSearchParams({ username: 'admin', password })
  const answer = await fetch(`http://127.0.0.1:${port}/api/auth/login`, { method: 'POST', body })
  const { access_token: token } = (await answer.json()) as { access_token: string }
  return `GET /api/auth/me HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n\r\n`
}
