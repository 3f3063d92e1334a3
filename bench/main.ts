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
const secretKey = { SECRET_KEY: 'k'.repeat(32) }
const password = 'correct horse battery staple'

await buildReference()
console.log(`${describeMachine()}; ${rounds} rounds\n`)
console.log('| what | min | median | max |\n|---|---|---|---|')
reportSizes()
await measureStart()
await measureEmbedded()
await measureOnPostgresql()
await measureSweeping()

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
  const body = new URLSearchParams({ username: 'admin', password })
  const answer = await fetch(`http://127.0.0.1:${port}/api/auth/login`, { method: 'POST', body })
  const { access_token: token } = (await answer.json()) as { access_token: string }
  return `GET /api/auth/me HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n\r\n`
}

async function measureLogin(port: number, url: string): Promise<void> {
  const client = postgres(url, { max: 1 })
  const [row] = await client`SELECT hashed_password FROM users`
  await client.end()
  const form = new URLSearchParams({ username: 'admin', password }).toString()
  const request = `POST /api/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\n\r\n${form}`
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
