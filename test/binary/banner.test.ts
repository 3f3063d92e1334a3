import { describe, expect, test } from 'bun:test'
import { spawn } from 'node:child_process'
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createDatabase } from '../postgresql.ts'
import { binary, emptyDirectory, serve } from './binary.ts'
import { hasTerminal } from './terminal.ts'

const secretKey = { SECRET_KEY: 'k'.repeat(32) }

/** Starts a server on a terminal, and stops it once the screen has the text. */
function screenOf(command: string, until: string, directory: string, environment = {}): Promise<string> {
  const child = spawn('script', ['-qec', `exec ${command}`, '/dev/null'], {
    cwd: directory,
    env: { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: '0', ...secretKey, ...environment },
    stdio: ['pipe', 'pipe', 'ignore'],
    timeout: 30_000,
  })
  const { promise, resolve } = Promise.withResolvers<string>()
  let screen = ''
  child.stdout.on('data', (chunk) => {
    screen += chunk
    // Ctrl+C
    if (screen.includes(until)) child.stdin.write('\x03')
  })
  child.once('close', () => resolve(screen.replaceAll('\r\n', '\n')))
  return promise
}

describe.skipIf(!hasTerminal)('audittrail on a terminal', () => {
  test('prints the banner and pretty logs, and calls commands as it was called', async () => {
    const directory = emptyDirectory()
    copyFileSync(binary, join(directory, 'login service'))
    writeFileSync(join(directory, 'my.env'), 'BASE_PATH=/auth\n')
    const screen = await screenOf(`'./login service' --env-file my.env`, 'Press Ctrl+C', directory)
    expect(screen).toMatch(/\d\d:\d\d:\d\d\.\d{3} info {2}server\.ready url=http/)
    expect(screen).toMatch(/API docs {3}http:\/\/127\.0\.0\.1:\d+\/auth\/docs\n/)
    expect(screen).toContain(`'./login service' --env-file my.env user password admin\n`)
    expect(screen).not.toContain('{"time"')
  })

  test('names no API docs with DOCS=off', async () => {
    const screen = await screenOf(binary, 'Press Ctrl+C', emptyDirectory(), {
      DATABASE_URL: await createDatabase(),
      DOCS: 'off',
    })
    expect(screen).not.toContain('docs')
    expect(screen).toContain(`${binary} user password admin\n`)
  })

  test('logs JSON without a banner if LOG_FORMAT=json', async () => {
    const screen = await screenOf(binary, 'server.ready', emptyDirectory(), {
      DATABASE_URL: await createDatabase(),
      LOG_FORMAT: 'json',
    })
    expect(screen).toContain('"event":"server.ready"')
    expect(screen).not.toContain('Press Ctrl+C')
  })
})

test('audittrail without a terminal logs JSON and prints no banner', async () => {
  const { stdout } = await (await serve({ environment: { ...secretKey, DATABASE_URL: await createDatabase() } })).stop()
  expect(
    stdout
      .trimEnd()
      .split('\n')
      .every((line) => line.startsWith('{')),
  ).toBe(true)
})
