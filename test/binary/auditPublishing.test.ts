import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createDatabase } from '../postgresql.ts'
import { emptyDirectory, login, run, type Server, serve } from './binary.ts'

const settings = {
  SECRET_KEY: 'k'.repeat(32),
  ADMIN_PASSWORD: 'a long enough pass phrase',
  PASSWORD_MEMORY_KIB: '8192',
  PASSWORD_TIME_COST: '1',
}

describe.each(['PostgreSQL', 'the embedded database'])('audit export, proof and key on %s', (kind) => {
  const directory = emptyDirectory()
  let environment: Record<string, string>
  let server: Server
  const command = (...args: string[]) => run(args, { environment, directory })
  const textOf = (path: string) => readFileSync(join(directory, path), 'utf8')
  const sizeOf = (path: string) => Number(textOf(path).split('\n')[1])
  beforeAll(async () => {
    const database =
      kind === 'PostgreSQL' ? { DATABASE_URL: await createDatabase() } : { DATA_DIR: join(directory, 'data') }
    environment = { ...settings, ...database }
    server = await serve({ environment })
    await login(server.url, 'admin', settings.ADMIN_PASSWORD)
  })
  afterAll(async () => {
    await server.stop()
  })

  test('key prints the verifier key of the log', async () => {
    const { code, stdout } = await command('audit', 'key')
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^audittrail\/[0-9a-f]{32}\+[0-9a-f]{8}\+\S{44}\n$/)])
  })

  test('key prints those of SECRET_KEY_PREVIOUS with --all', async () => {
    const args = {
      directory,
      environment: { ...environment, SECRET_KEY: 'n'.repeat(32), SECRET_KEY_PREVIOUS: settings.SECRET_KEY },
    }
    if (kind !== 'PostgreSQL') await server.stop()
    const [current, all] = [await run(['audit', 'key'], args), await run(['audit', 'key', '--all'], args)]
    const former = await command('audit', 'key')
    expect(all.stdout).toStartWith(current.stdout)
    expect(all.stdout.slice(current.stdout.length)).toContain(former.stdout)
    if (kind !== 'PostgreSQL') server = await serve({ environment })
  })

  test('export writes a log with a signed checkpoint, without names', async () => {
    const { code, stderr } = await command('audit', 'export', 'out')
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^Exported \d+ records\.\n$/)])
    expect(textOf('out/log.vkey')).toBe((await command('audit', 'key')).stdout)
    expect(sizeOf('out/checkpoint')).toBeGreaterThan(0)
    expect(existsSync(join(directory, `out/tile/entries/000.p/${sizeOf('out/checkpoint')}`))).toBe(true)
    expect(existsSync(join(directory, 'out/private.ndjson'))).toBe(false)
  })

  test('export --personal writes the personal texts to a private file', async () => {
    const { code, stderr } = await command('audit', 'export', 'personal', '--personal')
    expect([code, stderr]).toEqual([0, expect.stringContaining('private.ndjson contains names and addresses.')])
    expect(statSync(join(directory, 'personal/private.ndjson')).mode & 0o777).toBe(0o600)
    expect(textOf('personal/private.ndjson').trimEnd().split('\n')).toHaveLength(sizeOf('personal/checkpoint'))
  })

  test('export refuses a directory with files, and a file', async () => {
    const again = await command('audit', 'export', 'out')
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('"out" is not empty')])
    writeFileSync(join(directory, 'file'), '')
    expect((await command('audit', 'export', 'file')).code).toBe(1)
    mkdirSync(join(directory, 'empty'))
    expect((await command('audit', 'export', 'empty')).code).toBe(0)
  })

  test('proof writes an event, its proofs and the personal texts that it commits to', async () => {
    const { code, stdout } = await command('audit', 'proof', '1', '--out', 'proofs', '--personal')
    const names = ['event-1.json', 'event-1.json.tlog-proof', 'event-1.json.spicy']
    expect([code, stdout.split('\n').slice(0, 3)]).toEqual([0, names.map((name) => `proofs/${name}`)])
    const { by, about } = JSON.parse(textOf('proofs/event-1.json'))
    for (const [name, party] of [
      ['by', by],
      ['about', about],
    ] as const) {
      const path = join(directory, `proofs/event-1.${name}.json`)
      const hash = existsSync(path) ? createHash('sha256').update(readFileSync(path)).digest('base64') : undefined
      expect(hash).toBe(party?.private)
    }
    expect(textOf('proofs/event-1.json.tlog-proof')).toBe(
      `c2sp.org/tlog-proof@v1\n${textOf('proofs/event-1.json.spicy')}`,
    )
  })

  test('proof replaces files only with --force', async () => {
    expect((await command('audit', 'proof', '1', '--out', 'proofs')).code).toBe(1)
    expect((await command('audit', 'proof', '1', '--out', 'proofs', '--force')).code).toBe(0)
    const into = await command('audit', 'proof', '1', '--out', 'proofs/event-1.json')
    expect([into.code, into.stderr]).toEqual([1, expect.stringContaining('(EEXIST)')])
  })

  test.each([
    ['999999', 1],
    ['-1', 2],
    ['x', 2],
    ['1.5', 2],
  ])('proof of %p exits with %p', async (index, expected) => {
    expect((await command('audit', 'proof', index)).code).toBe(expected)
  })

  test('all work while the server is stopped, with its SECRET_KEY only', async () => {
    await server.stop()
    expect((await command('audit', 'export', 'stopped')).code).toBe(0)
    expect((await command('audit', 'proof', '0', '--out', 'stopped-proofs')).code).toBe(0)
    const other = { directory, environment: { ...environment, SECRET_KEY: 'x'.repeat(32) } }
    for (const args of [
      ['audit', 'export', 'other'],
      ['audit', 'proof', '0'],
      ['audit', 'key'],
    ])
      expect((await run(args, other)).code).toBe(1)
    expect(existsSync(join(directory, 'other/checkpoint'))).toBe(false)
    server = await serve({ environment })
  })
})
