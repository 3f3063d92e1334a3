import { describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { envExample, markdownTable } from '../../src/cli/commands/config.ts'
import { readConfig } from '../../src/config/config.ts'

const root = join(import.meta.dir, '../..')
const directory = mkdtempSync(join(tmpdir(), 'audittrail-config-'))

function configOf(environment: Record<string, string>, envFile?: string) {
  const reading = readConfig(environment, envFile)
  if (!reading.ok) throw new Error(reading.problems.join('\n'))
  return reading.config
}

function problemsOf(environment: Record<string, string>): readonly string[] {
  const reading = readConfig(environment)
  return reading.ok ? [] : reading.problems
}

describe('settings', () => {
  test('have the documented defaults with no environment at all', () => {
    expect(configOf({})).toMatchObject({
      databaseUrl: undefined,
      dataDir: './data',
      host: '0.0.0.0',
      port: 8000,
      basePath: '/api',
      secretKey: undefined,
      issuer: 'audittrail',
      audience: 'audittrail',
      accessTokenExpireMinutes: 30,
      passwordMemoryKib: 65536,
      passwordTimeCost: 2,
    })
  })

  test('cannot be changed once they are read', () => {
    expect(Object.isFrozen(configOf({}))).toBe(true)
  })

  test('that are given empty count as unset, as compose files write them', () => {
    expect(configOf({ PORT: '', SECRET_KEY: '', DATABASE_URL: '' })).toMatchObject({ port: 8000, secretKey: undefined })
  })

  test('BASE_PATH given empty means the root', () => {
    expect(configOf({ BASE_PATH: '' }).basePath).toBe('')
    expect(configOf({ BASE_PATH: '/' }).basePath).toBe('')
    expect(configOf({ BASE_PATH: '/auth-service/v1/' }).basePath).toBe('/auth-service/v1')
  })

  test('CORS_ORIGINS is a list of exact origins, none by default', () => {
    expect(configOf({}).corsOrigins).toEqual([])
    expect(configOf({ CORS_ORIGINS: '' }).corsOrigins).toEqual([])
    const origins = [
      'https://app.example.com',
      'http://localhost:5173',
      'http://[::1]:8080',
      'https://xn--mnchen-3ya.example',
    ]
    expect(configOf({ CORS_ORIGINS: origins.join(' , ') }).corsOrigins).toEqual(origins)
  })

  test.each([
    '*',
    'null',
    'https://*',
    'https://*.example.com',
    'app.example.com',
    'https://app.example.com/',
    'https://app.example.com/path',
    'https://app.example.com?q',
    'https://APP.example.com',
    'https://app.example.com:443',
    'http://app.example.com:080',
    'https://user@app.example.com',
    'https://münchen.example',
    'https://app.example.com https://b.example.com',
    'https://app.example.com,*',
    'ftp://app.example.com',
    'file:///index.html',
    'https://',
  ])('CORS_ORIGINS=%s is refused and told what it takes', (value) => {
    const [problem = '', ...others] = problemsOf({ CORS_ORIGINS: value })
    expect(others).toEqual([])
    expect(problem).toStartWith(
      `CORS_ORIGINS is ${JSON.stringify(value)}: it takes exact origins as browsers write them`,
    )
  })

  test.each([
    ['PORT', 'http', 'PORT is "http": it takes a whole number from 0 to 65535.'],
    ['PORT', '65536', 'PORT is "65536": it takes a whole number from 0 to 65535.'],
    ['PORT', '1e3', 'PORT is "1e3": it takes a whole number from 0 to 65535.'],
    ['LOG_FORMAT', 'xml', 'LOG_FORMAT is "xml": it takes one of json, pretty.'],
    ['BASE_PATH', 'api', 'BASE_PATH is "api": it takes a path such as /api, or nothing at all for the root.'],
    ['BASE_PATH', '/a/../b', 'BASE_PATH is "/a/../b": it takes a path such as /api, or nothing at all for the root.'],
    [
      'TRUSTED_PROXIES',
      '10.0.0.0/33',
      'TRUSTED_PROXIES is "10.0.0.0/33": it takes IP addresses or CIDR networks, separated by commas (127.0.0.1, 172.16.0.0/12).',
    ],
    ['DATABASE_POOL_SIZE', '11', 'DATABASE_POOL_SIZE is "11": it takes a whole number from 1 to 10.'],
    [
      'ADMIN_USERNAME',
      'two words',
      'ADMIN_USERNAME is "two words": it takes 1 to 50 of the characters A-Z a-z 0-9 . _ @ + -.',
    ],
  ])('%s=%s is refused in one line that names it, what it got and what it takes', (name, value, line) => {
    expect(problemsOf({ [name]: value })).toEqual([line])
  })

  test.each([
    ['SECRET_KEY', 'short-and-secret'],
    ['DATABASE_URL', 'mysql://root:short-and-secret@localhost/x'],
    ['DATABASE_URL', 'postgres://root:short-and-secret@local host/x'],
    ['DATABASE_URL', 'postgres://root:short-and-secret@localhost/x?sslmode=short-and-secret'],
    ['ADMIN_PASSWORD', `short-and-secret\0`],
  ])('a bad %s is refused without being shown', (name, value) => {
    const [line = ''] = problemsOf({ [name]: value })
    expect(line).toStartWith(`${name} is not valid: it takes `)
    expect(line).not.toContain('short-and-secret')
  })

  test('all that are wrong are named at once', () => {
    expect(problemsOf({ PORT: 'x', HOST: '!', LOG_LEVEL: 'loud' })).toHaveLength(3)
  })
})

describe('secrets', () => {
  test('may stand in a file, whose last line break is no part of them', () => {
    const file = join(directory, 'secret')
    writeFileSync(file, `${'s'.repeat(32)}\n`)
    expect(configOf({ SECRET_KEY_FILE: file }).secretKey).toBe('s'.repeat(32))
  })

  test('given twice are refused', () => {
    expect(problemsOf({ SECRET_KEY: 's'.repeat(32), SECRET_KEY_FILE: '/nowhere' })).toEqual([
      'SECRET_KEY and SECRET_KEY_FILE are both set: keep one of them.',
    ])
  })

  test('in a file that is not there are refused with the path', () => {
    expect(problemsOf({ SECRET_KEY_FILE: '/nowhere' })).toEqual([
      'SECRET_KEY_FILE names a file that cannot be read (ENOENT): "/nowhere".',
    ])
  })
})

describe('a file for a secret', () => {
  test.each([
    ['is empty', '\n', 'is empty'],
    ['is not UTF-8', Buffer.alloc(40, 0xff), 'is not UTF-8 text'],
  ])('that %s is refused', (what, contents, reason) => {
    const file = join(directory, what.replaceAll(' ', '-'))
    writeFileSync(file, contents)
    for (const name of ['SECRET_KEY_FILE', 'ADMIN_PASSWORD_FILE']) {
      expect(problemsOf({ [name]: file })).toEqual([`${name} names a file that ${reason}: ${JSON.stringify(file)}.`])
    }
  })
})

describe('--env-file', () => {
  test('is not masked by what the environment leaves empty', () => {
    const file = join(directory, 'masked.env')
    writeFileSync(file, 'PORT=9001\nDATABASE_URL=postgresql://h/x\n')
    expect(configOf({ PORT: '', DATABASE_URL: '' }, file)).toMatchObject({ port: 9001, databaseUrl: { host: 'h' } })
    expect(configOf({ BASE_PATH: '' }, file).basePath).toBe('')
  })

  test('gives settings, over which the environment wins', () => {
    const file = join(directory, 'settings.env')
    writeFileSync(file, '# a comment\nPORT=9001\nADMIN_FULL_NAME="Ada Lovelace"\nISSUER=from-file\n')
    const config = configOf({ ISSUER: 'from-environment' }, file)
    expect(config).toMatchObject({ port: 9001, adminFullName: 'Ada Lovelace', issuer: 'from-environment' })
  })

  test('that cannot be read is refused', () => {
    expect(readConfig({}, '/nowhere.env')).toMatchObject({
      ok: false,
      problems: ['--env-file cannot be read (ENOENT): "/nowhere.env".'],
    })
  })
})

describe('what is printed from the table', () => {
  test('.env.example is what `audittrail config --env` prints', () => {
    expect(readFileSync(join(root, '.env.example'), 'utf8')).toBe(envExample())
  })

  test('.env.example with every line uncommented gives the defaults', () => {
    const file = join(directory, 'uncommented.env')
    writeFileSync(file, envExample().replace(/^# ([A-Z_]+=)/gm, '$1'))
    expect(configOf({}, file)).toEqual(configOf({}))
  })

  test('docs/settings.md has the table that `audittrail config --markdown` prints', () => {
    expect(readFileSync(join(root, 'docs/settings.md'), 'utf8')).toContain(markdownTable())
  })
})
