import { mkdirSync, statSync } from 'node:fs'
import postgres from 'postgres'
import { startServer } from '../test/postgresqlServer.ts'
import {
  binary,
  describeMachine,
  emptyDirectory,
  load,
  reference,
  residentMegabytes,
  root,
  runJson,
  spread,
  start,
} from './machine.ts'

/**
 * `bun run bench`: every figure of docs/performance.md, in interleaved runs (A B C, A B C, …), so that a machine whose
 * speed drifts drifts for all. Prints a Markdown table of minimum, median and maximum.
 */
const rounds = Number(process.env.ROUNDS ?? 5)
const seconds = Number(process.env.SECONDS ?? 3)
/** Parts to run alone, by name: `ONLY=storm,telling`. */
const only = process.env.ONLY?.split(',')
const secretKey = { SECRET_KEY: 'k'.repeat(32) }
const password = 'correct horse battery staple'

await buildReference()
console.log(`${describeMachine()}; ${rounds} rounds\n`)
console.log('| what | min | median | max |\n|---|---|---|---|')
reportSizes()
if (wants('start')) await measureStart()
if (wants('embedded')) await measureEmbedded()
if (wants('onpostgresql')) await measureOnPostgresql()
if (wants('storm')) await measureStorm()
if (wants('telling')) await measureTelling()
if (wants('sweeping')) await measureSweeping()

function wants(part: string): boolean {
  return only?.includes(part) !== false
}

async function buildReference(): Promise<void> {
  mkdirSync(`${root}/dist/bench`, { recursive: true })
  const flags = [
    '--compile',
    '--minify',
    '--bytecode',
    '--format=esm',
    '--no-compile-autoload-bunfig',
    '--no-compile-autoload-dotenv',
  ]
  const child = Bun.spawn([process.execPath, 'build', ...flags, 'bench/reference.ts', `--outfile=${reference}`], {
    cwd: root,
    stdout: 'ignore',
  })
  if ((await child.exited) !== 0) throw new Error('the reference programs do not build')
}

function reportSizes(): void {
  const megabytes = (file: string) => statSync(file).size / 1e6
  report('binary, MB', [megabytes(binary)])
  report('binary over a compiled Bun.serve, MB', [megabytes(binary) - megabytes(reference)])
}

async function measureStart(): Promise<void> {
  const environment = { DATABASE_URL: 'postgresql://nobody@127.0.0.1:9/nothing', ...secretKey, LOG_LEVEL: 'silent' }
  const [hello, ours]: number[][] = [[], []]
  for (let round = 0; round < rounds * 2; round++) {
    const first = await start({ file: reference })
    hello?.push(first.milliseconds)
    await first.stop('SIGKILL')
    const second = await start({ file: binary, environment, path: '/api/health' })
    ours?.push(second.milliseconds)
    await second.stop('SIGKILL')
  }
  report('exec to first answer, compiled hello-world Bun.serve, ms', hello ?? [])
  report('exec to first answer on /api/health, ms', ours ?? [])
  reportRatio('start beside hello-world (aim: within 2.5)', ours ?? [], hello ?? [])
}

async function measureEmbedded(): Promise<void> {
  const [empty, existing, memory]: number[][] = [[], [], []]
  const [early]: number[][] = [[]]
  for (let round = 0; round < rounds; round++) {
    const directory = emptyDirectory()
    const options = { file: binary, directory, path: '/api/ready', environment: { LOG_LEVEL: 'silent' } }
    const first = await start(options)
    empty?.push(first.milliseconds)
    await first.stop()
    const second = await start(options)
    existing?.push(second.milliseconds)
    await Bun.sleep(1000)
    memory?.push(residentMegabytes(second.process))
    await second.stop()
    const third = await start({ ...options, path: '/api/health' })
    early?.push(third.milliseconds)
    await third.stop()
  }
  report('ready on an empty embedded directory, ms (aim: 1500)', empty ?? [])
  report('ready on an existing embedded directory, ms (aim: 600)', existing ?? [])
  report('exec to first answer on /api/health, embedded, ms', early ?? [])
  report('resident memory a second after start, embedded, MB', memory ?? [])
}

async function measureOnPostgresql(): Promise<void> {
  const server = await startServer([])
  try {
    const environment = { DATABASE_URL: server.url, ...secretKey, ADMIN_PASSWORD: password }
    const ours = await start({ file: binary, path: '/api/ready', environment })
    const constant = await start({ file: reference })
    const select = await start({ file: reference, args: ['select'], environment })
    await Bun.sleep(1000)
    report('resident memory a second after start, PostgreSQL, MB', [residentMegabytes(ours.process)])
    await measureMe(ours.port, constant.port, select.port)
    report('resident memory after that load, PostgreSQL, MB', [residentMegabytes(ours.process)])
    await measureLogin(ours.port, server.url)
    for (const started of [ours, constant, select]) await started.stop('SIGKILL')
  } finally {
    await server.stop()
  }
}

async function measureMe(ours: number, constant: number, select: number): Promise<void> {
  const request = await meRequest(ours)
  const get = (path: string) => request.replace('/api/auth/me', path)
  const peers = [
    { name: 'constant Bun.serve', port: constant, path: '/', runs: [] as number[], slow: [] as number[] },
    { name: 'Bun.serve and one prepared SELECT', port: select, path: '/', runs: [] as number[], slow: [] as number[] },
    { name: 'GET /api/auth/me', port: ours, path: '/api/auth/me', runs: [] as number[], slow: [] as number[] },
  ]
  for (const { port, path } of peers) await load(port, 32, 1, get(path))
  for (let round = 0; round < rounds; round++) {
    for (const peer of peers) {
      const { perSecond, p99 } = await load(peer.port, 32, seconds, get(peer.path))
      peer.runs.push(perSecond)
      peer.slow.push(p99)
    }
  }
  for (const { name, runs, slow } of peers) {
    report(`${name}, 32 connections, requests/s`, runs)
    report(`${name}, p99, ms`, slow)
  }
  reportRatio('/auth/me beside one SELECT (at least 0.70, aim 0.85)', peers[2]?.runs ?? [], peers[1]?.runs ?? [])
}

interface Probe {
  readonly p50: number
  readonly p99: number
  readonly refused: number
}

/** Who is signed in is asked a hundred times a second, in quiet and while 16 clients sign in. */
async function measureStorm(): Promise<void> {
  const server = await startServer([])
  const environment = { DATABASE_URL: server.url, ...secretKey, ADMIN_PASSWORD: password }
  const [quiet, storm, logins, ratios]: number[][] = [[], [], [], []]
  try {
    const { port, stop } = await start({ file: binary, path: '/api/ready', environment })
    const token = await accessToken(port)
    const ask = () =>
      runJson<Probe>(
        [process.execPath, 'bench/probe.ts', `http://127.0.0.1:${port}/api/auth/me`, token, '100', String(seconds)],
        {},
      )
    await ask()
    for (let round = 0; round < rounds; round++) {
      const before = await ask()
      const storming = load(port, 16, seconds + 3, loginRequest())
      await Bun.sleep(1500)
      const during = await ask()
      logins?.push((await storming).perSecond)
      quiet?.push(before.p99)
      storm?.push(during.p99)
      ratios?.push(during.p99 / before.p99)
    }
    await stop()
  } finally {
    await server.stop()
  }
  report('GET /api/auth/me at 100 requests/s, p99 in quiet, ms', quiet ?? [])
  report('the same while 16 clients sign in, ms', storm ?? [])
  report('beside quiet (bound: 3)', ratios ?? [])
  report('sign-ins meanwhile, per second', logins ?? [])
}

/** How long it takes to be refused: each kind in turn, each sample at another account and from another network. */
async function measureTelling(): Promise<void> {
  const server = await startServer([])
  const environment = { DATABASE_URL: server.url, ...secretKey, ADMIN_PASSWORD: password, TRUSTED_PROXIES: '127.0.0.1' }
  const client = postgres(server.url, { max: 1, onnotice: () => {} })
  const samples = 200
  const cheap = await Bun.password.hash(password, { algorithm: 'argon2id', memoryCost: 19_456, timeCost: 2 })
  try {
    const { port, stop } = await start({ file: binary, path: '/api/ready', environment })
    await client`INSERT INTO users (username, hashed_password, full_name, is_active)
      SELECT kind || number, CASE kind WHEN 'cheap' THEN ${cheap} ELSE (SELECT hashed_password FROM users LIMIT 1) END, 'User', kind <> 'disabled'
      FROM unnest(ARRAY['known', 'disabled', 'cheap']) AS kind, generate_series(0, ${samples - 1}::integer) AS number`
    const kinds = ['unknown', 'known', 'disabled', 'cheap']
    const times = new Map(kinds.map((kind): [string, number[]] => [kind, []]))
    for (let number = 0; number < samples; number++) {
      for (const [place, kind] of kinds.entries()) {
        const body = new URLSearchParams({
          username: `${kind}${number}`,
          password: kind === 'disabled' ? password : 'wrong',
        })
        const headers = { 'x-forwarded-for': `198.18.${place * 64 + (number >> 8)}.${number & 255}` }
        const began = performance.now()
        const answer = await fetch(`http://127.0.0.1:${port}/api/auth/login`, { method: 'POST', body, headers })
        await answer.text()
        if (answer.status !== 401) throw new Error(`a wrong login was answered with ${answer.status}`)
        times.get(kind)?.push(performance.now() - began)
      }
    }
    await stop()
    const median = (kind: string) => spread(times.get(kind) ?? []).median
    report('refusal of a wrong password, ms (median of 200 in the middle)', times.get('known') ?? [])
    for (const kind of ['unknown', 'disabled', 'cheap'])
      report(`median refusal, ${kind} beside wrong password (within 0.90 to 1.10)`, [median(kind) / median('known')])
  } finally {
    await client.end()
    await server.stop()
  }
}

/** A million dead sessions are swept from the start on, while others ask who they are. */
async function measureSweeping(): Promise<void> {
  const server = await startServer([])
  const environment = { DATABASE_URL: server.url, ...secretKey, ADMIN_PASSWORD: password }
  const client = postgres(server.url, { max: 1, onnotice: () => {} })
  try {
    const first = await start({ file: binary, path: '/api/ready', environment })
    const quiet = await load(first.port, 32, seconds, await meRequest(first.port))
    await first.stop()
    await client`INSERT INTO audittrail_sessions (id, user_id, created_at, last_used_at, expires_at)
      SELECT gen_random_uuid(), users.id, now(), now(), now() - interval '1 day' FROM users, generate_series(1, 1000000)`
    await client`ANALYZE audittrail_sessions`
    const second = await start({ file: binary, path: '/api/ready', environment })
    const began = performance.now()
    const swept = await load(second.port, 32, seconds, await meRequest(second.port))
    await untilSwept(client)
    report('GET /api/auth/me, p99 without sweeping, ms', [quiet.p99])
    report('GET /api/auth/me, p99 while a million dead sessions are swept, ms', [swept.p99])
    report('sweeping a million dead sessions, seconds', [(performance.now() - began) / 1000])
    await second.stop()
  } finally {
    await client.end()
    await server.stop()
  }
}

async function untilSwept(client: postgres.Sql): Promise<void> {
  for (;;) {
    const [row] = await client`SELECT EXISTS (SELECT FROM audittrail_sessions WHERE expires_at < now()) AS left`
    if (!row?.left) return
    await Bun.sleep(250)
  }
}

async function meRequest(port: number): Promise<string> {
  return `GET /api/auth/me HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${await accessToken(port)}\r\n\r\n`
}

async function accessToken(port: number): Promise<string> {
  const body = new URLSearchParams({ username: 'admin', password })
  const answer = await fetch(`http://127.0.0.1:${port}/api/auth/login`, { method: 'POST', body })
  const { access_token: token } = (await answer.json()) as { access_token: string }
  return token
}

function loginRequest(): string {
  const form = new URLSearchParams({ username: 'admin', password }).toString()
  return `POST /api/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\n\r\n${form}`
}

async function measureLogin(port: number, url: string): Promise<void> {
  const client = postgres(url, { max: 1 })
  const [row] = await client`SELECT hashed_password FROM users`
  await client.end()
  const request = loginRequest()
  const [alone, logins]: number[][] = [[], []]
  for (let round = 0; round < rounds; round++) {
    const { perSecond } = await runJson<{ perSecond: number }>([reference, 'verify', String(seconds)], {
      HASH: row?.hashed_password,
    })
    alone?.push(perSecond)
    logins?.push((await load(port, 2, seconds, request)).perSecond)
  }
  report('Bun.password.verify alone, two at a time, per second', alone ?? [])
  report('POST /api/auth/login, two at a time, per second', logins ?? [])
  reportRatio('login beside the hash alone (at least 0.95)', logins ?? [], alone ?? [])
}

function report(what: string, values: readonly number[]): void {
  const { min, median, max } = spread(values)
  console.log(`| ${what} | ${shown(min)} | ${shown(median)} | ${shown(max)} |`)
}

/** Round by round, since two neighbours in time have met the same machine. */
function reportRatio(what: string, values: readonly number[], basis: readonly number[]): void {
  report(
    what,
    values.map((value, index) => value / (basis[index] ?? Number.NaN)),
  )
}

function shown(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}
