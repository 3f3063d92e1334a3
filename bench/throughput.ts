import postgres from 'postgres'
import { startServer } from '../test/postgresqlServer.ts'
import { binary, load, reference, residentMegabytes, runJson, start } from './machine.ts'
import { rounds, seconds, settingsFor } from './options.ts'
import { report, reportRatio } from './report.ts'
import { loginRequest, meRequest } from './requests.ts'

/**
 * Measures requests with a token, sign-ins and memory on PostgreSQL, next to the reference
 * programs.
 */
export async function measureThroughput(): Promise<void> {
  const server = await startServer([])
  try {
    const environment = settingsFor(server.url)
    const ours = await start({ file: binary, path: '/api/ready', environment })
    const constant = await start({ file: reference })
    const select = await start({ file: reference, args: ['select'], environment })
    await Bun.sleep(1000)
    report('resident memory one second after startup, PostgreSQL, MB', [residentMegabytes(ours.process)])
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
  const peer = (name: string, port: number, path = '/') => ({
    name,
    port,
    path,
    throughputs: [] as number[],
    latencies: [] as number[],
  })
  const single = peer('Bun.serve with one prepared SELECT', select)
  const me = peer('GET /api/auth/me', ours, '/api/auth/me')
  const peers = [peer('constant Bun.serve', constant), single, me]
  for (const { port, path } of peers) await load(port, 32, 1, get(path))
  for (let round = 0; round < rounds; round++) {
    for (const { port, path, throughputs, latencies } of peers) {
      const { perSecond, p99 } = await load(port, 32, seconds, get(path))
      throughputs.push(perSecond)
      latencies.push(p99)
    }
  }
  for (const { name, throughputs, latencies } of peers) {
    report(`${name}, 32 connections, requests/s`, throughputs)
    report(`${name}, p99, ms`, latencies)
  }
  reportRatio('/auth/me relative to one SELECT (at least 0.70, target 0.85)', me.throughputs, single.throughputs)
}

async function measureLogin(port: number, url: string): Promise<void> {
  const client = postgres(url, { max: 1 })
  const [row] = await client`SELECT hashed_password FROM users`
  await client.end()
  const request = loginRequest()
  const hashes: number[] = []
  const logins: number[] = []
  for (let round = 0; round < rounds; round++) {
    const { perSecond } = await runJson<{ perSecond: number }>([reference, 'verify', String(seconds)], {
      HASH: row?.hashed_password,
    })
    hashes.push(perSecond)
    logins.push((await load(port, 2, seconds, request)).perSecond)
  }
  report('Bun.password.verify alone, two at a time, per second', hashes)
  report('POST /api/auth/login, two at a time, per second', logins)
  reportRatio('login relative to the hash alone (at least 0.95)', logins, hashes)
}
