import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { spawn, spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { accessToken, type Server, serve } from '../binary/binary.ts'
import { temporaryDirectory } from '../endOfFile.ts'
import { createDatabase } from '../postgresql.ts'
import { hasProgram } from '../requirements.ts'

const isThere = hasProgram('fail2ban-regex', 'fail2ban')
const shipped = join(import.meta.dir, '../../deploy/fail2ban')
const filter = join(shipped, 'filter.d/audittrail.conf')

/** Returns the addresses that the filter finds in a log, one per matching line, in order. */
function addressesIn(log: string): string[] {
  const file = join(temporaryDirectory('fail2ban'), 'audittrail.log')
  writeFileSync(file, log)
  const { stdout, stderr, status } = spawnSync('fail2ban-regex', ['-o', 'ip', file, filter], { encoding: 'utf8' })
  if (status !== 0 && stdout + stderr !== '') throw new Error(stdout + stderr)
  return stdout.split('\n').filter((line) => line !== '')
}

const password = 'a long enough pass phrase'
const hostileNames = [
  'x","address":"198.51.100.66"}',
  'a\n{"time":"2026-01-02T03:04:05.006Z","level":"warn","event":"login.failed","address":"198.51.100.66"}',
  '\\","address":"198.51.100.66',
]

describe.skipIf(!isThere)('the fail2ban filter', () => {
  let server: Server
  beforeAll(async () => {
    const url = await createDatabase()
    server = await serve({
      environment: {
        DATABASE_URL: url,
        SECRET_KEY: 'k'.repeat(32),
        ADMIN_PASSWORD: password,
        TRUSTED_PROXIES: '127.0.0.1',
        PASSWORD_MEMORY_KIB: '8192',
        PASSWORD_TIME_COST: '1',
      },
    })
    const sql = postgres(url, { max: 1 })
    for (const name of hostileNames.map((text) => text.slice(0, 50))) {
      await sql`INSERT INTO users (username, hashed_password, full_name)
        SELECT ${name}, hashed_password, 'Hostile' FROM users WHERE username = 'admin'`
    }
    await sql`INSERT INTO users (username, hashed_password, full_name)
      SELECT 'user' || n, hashed_password, 'User' FROM users, generate_series(0, 19) AS n WHERE username = 'admin'`
    await sql.end()
  })
  afterAll(async () => {
    await server?.stop()
  })

  /** A new user for each attempt: repeated failures of one user would be throttled. */
  let users = 0
  const anyone = () => `user${users++}`
  const login = (from: string, username: string, given: string, headers: Record<string, string> = {}) =>
    fetch(`${server.url}/auth/login`, {
      method: 'POST',
      headers: { 'x-forwarded-for': from, ...headers },
      body: new URLSearchParams({ username, password: given }),
    })

  /** Returns the lines that the server logs during some work. */
  async function logOf(work: () => Promise<unknown>): Promise<string> {
    const before = server.output.stdout.length
    await work()
    const id = crypto.randomUUID()
    await fetch(`${server.url}/health`, { headers: { 'x-request-id': id } })
    while (!server.output.stdout.includes(`"request_id":"${id}"}\n`)) await Bun.sleep(5)
    return server.output.stdout.slice(before)
  }

  test('finds the address of every failed login once, and matches no other line', async () => {
    const log = await logOf(async () => {
      await login('203.0.113.1', 'admin', password)
      await login('203.0.113.2', anyone(), 'wrong')
      await login('203.0.113.3', 'nobody', 'wrong')
      await login('2001:db8::4', 'nobody', 'wrong')
      await login('[2001:DB8:0:0::5]:4711', anyone(), 'wrong')
      await login('198.51.100.66, 203.0.113.6', anyone(), 'wrong')
      await login('203.0.113.7', 'admin', '')
      await fetch(`${server.url}/auth/me`, { headers: { 'x-forwarded-for': '203.0.113.8', authorization: 'Bearer x' } })
    })
    expect(addressesIn(log)).toEqual(['203.0.113.2', '203.0.113.3', '2001:db8::4', '2001:db8::5', '203.0.113.6'])
  })

  test('finds failed attempts to change a password', async () => {
    const token = await accessToken(server.url, 'admin', password)
    const log = await logOf(() =>
      fetch(`${server.url}/auth/password`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          'x-forwarded-for': '203.0.113.9',
        },
        body: JSON.stringify({ current_password: 'wrong', new_password: 'another long pass phrase' }),
      }),
    )
    expect(addressesIn(log)).toEqual(['203.0.113.9'])
  })

  test('is not misled by names, user agents, ids and paths that imitate a log line', async () => {
    const line = '{"time":"2026-01-02T03:04:05.006Z","level":"warn","event":"login.failed","address":"198.51.100.66"}'
    const log = await logOf(async () => {
      for (const name of [...hostileNames, line, `\n${line}\n`]) {
        await login('203.0.113.10', name.slice(0, 50), 'wrong', { 'user-agent': line, 'x-request-id': line })
        await login('203.0.113.10', name, 'wrong', { referer: line, 'x-real-ip': '198.51.100.66' })
        await fetch(`${server.origin}/${encodeURIComponent(name)}?${encodeURIComponent(line)}`, {
          headers: { 'x-forwarded-for': line },
        })
      }
      await fetch(`${server.origin}/${line}/"address":"198.51.100.66"}`)
    })
    expect(addressesIn(log)).toEqual(Array.from({ length: 10 }, () => '203.0.113.10'))
    expect(log.split('\n').filter((each) => each.includes('198.51.100.66') && !each.includes('\\"'))).toEqual([])
  })

  test('finds the same in a journal, where host and process precede the line', async () => {
    const log = await logOf(() => login('203.0.113.11', anyone(), 'wrong'))
    expect(addressesIn(log.replace(/^(?=.)/gm, 'web-1 audittrail[4711]: '))).toEqual(['203.0.113.11'])
  })

  test.each([
    [
      'a throttled login',
      '{"time":"2026-01-02T03:04:05.006Z","level":"warn","event":"login.throttled","username":"ada","address":"203.0.113.12","retry_after":30}',
      ['203.0.113.12'],
    ],
    [
      'another order and future members',
      '{"time":"2026-01-02T03:04:05.006Z","level":"warn","event":"login.failed","a":1.5,"b":null,"address":"203.0.113.13","c":true,"d":"\\\\"}',
      ['203.0.113.13'],
    ],
    [
      'another event',
      '{"time":"2026-01-02T03:04:05.006Z","level":"info","event":"login.succeeded","username":"login.failed","address":"203.0.113.14"}',
      [],
    ],
    [
      'an event inside a string',
      '{"time":"2026-01-02T03:04:05.006Z","level":"info","event":"request","path":"/\\",\\"event\\":\\"login.failed","address":"203.0.113.14"}',
      [],
    ],
    [
      'a line after other text',
      'x {"time":"2026-01-02T03:04:05.006Z","level":"warn","event":"login.failed","address":"203.0.113.14"}',
      [],
    ],
    [
      'other text after a line',
      '{"time":"2026-01-02T03:04:05.006Z","level":"warn","event":"login.failed","address":"203.0.113.14"} x',
      [],
    ],
    [
      'a host name as address',
      '{"time":"2026-01-02T03:04:05.006Z","level":"warn","event":"login.failed","address":"example.com"}',
      [],
    ],
  ])('parses %s correctly', (_what, line, expected) => {
    expect(addressesIn(`${line}\n`)).toEqual(expected as string[])
  })

  test('reads the time as UTC', async () => {
    const log = await logOf(() => login('203.0.113.15', anyone(), 'wrong'))
    const line = log.split('\n').find((text) => text.includes('"login.failed"')) ?? ''
    const { stdout } = spawnSync('fail2ban-regex', ['-o', 'row', line, filter], {
      encoding: 'utf8',
      env: { ...process.env, TZ: 'Pacific/Auckland' },
    })
    expect(stdout).toContain(`'203.0.113.15',\t${Math.floor(Date.parse(JSON.parse(line).time) / 1000)}`)
  })

  test('its jail bans only repeat offenders', async () => {
    const directory = temporaryDirectory('fail2ban')
    const log = join(directory, 'audittrail.log')
    const banned = join(directory, 'banned')
    writeConfiguration(directory, log, banned)
    const lines = await logOf(async () => {
      for (let attempt = 0; attempt < 3; attempt++) {
        await login('203.0.113.16', anyone(), 'wrong')
        await login('2001:db8::16', crypto.randomUUID(), 'wrong')
        await login('127.0.0.1', anyone(), 'wrong')
        await login('203.0.113.17', 'admin', password)
      }
      await login('203.0.113.18', anyone(), 'wrong')
    })
    writeFileSync(log, lines)
    const options = ['-c', directory, '-s', `${directory}/socket`, '-p', `${directory}/pid`]
    const child = spawn('fail2ban-server', ['-f', ...options, '--logtarget', 'STDERR', 'start'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let output = ''
    child.stderr.on('data', (chunk) => {
      output += chunk
    })
    const read = () => (existsSync(banned) ? readFileSync(banned, 'utf8').trim().split('\n').sort() : [])
    for (let attempt = 0; attempt < 400 && read().length < 2; attempt++) await Bun.sleep(25)
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    await ended
    expect({ banned: read(), output: read().length === 2 ? '' : output }).toEqual({
      banned: ['2001:db8::16', '203.0.113.16'],
      output: '',
    })
  }, 60_000)
})

/**
 * Debian's configuration with our filter and jail, few attempts, and an action that only records.
 */
function writeConfiguration(directory: string, log: string, banned: string): void {
  cpSync('/etc/fail2ban', directory, { recursive: true })
  copyFileSync(filter, join(directory, 'filter.d/audittrail.conf'))
  const jail = readFileSync(join(shipped, 'jail.d/audittrail.local'), 'utf8')
    .replace('\nbackend = systemd\n', '\n')
    .replace('# backend = auto', 'backend = polling')
    .replace('# logpath = /var/log/audittrail.log', `logpath = ${log}`)
    .replace('maxretry = 40', 'maxretry = 3')
  mkdirSync(join(directory, 'jail.d'), { recursive: true })
  // Other jails on this machine do not matter here.
  for (const file of ['jail.d/defaults-debian.conf', 'jail.local']) writeFileSync(join(directory, file), '')
  writeFileSync(join(directory, 'jail.d/audittrail.local'), `${jail}\naction = write-down\n`)
  writeFileSync(join(directory, 'action.d/write-down.conf'), `[Definition]\nactionban = echo <ip> >> ${banned}\n`)
  writeFileSync(join(directory, 'fail2ban.local'), '[Definition]\ndbfile = None\n')
}
