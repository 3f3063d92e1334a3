import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '../../src/config/config.ts'

const directory = mkdtempSync(join(tmpdir(), 'audittrail-config-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

function configOf(environment: Record<string, string>, envFile?: string) {
  const result = readConfig(environment, envFile)
  if (!result.ok) throw new Error(result.problems.join('\n'))
  return result.config
}

function problemsOf(environment: Record<string, string>): readonly string[] {
  const result = readConfig(environment)
  return result.ok ? [] : result.problems
}

describe('settings', () => {
  test('have the documented defaults without an environment', () => {
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

  test('are read-only', () => {
    expect(Object.isFrozen(configOf({}))).toBe(true)
  })

  test('count as unset when empty, as in compose files', () => {
    expect(configOf({ PORT: '', SECRET_KEY: '', DATABASE_URL: '' })).toMatchObject({ port: 8000, secretKey: undefined })
  })

  test('BASE_PATH: empty means the root', () => {
    expect(configOf({ BASE_PATH: '' }).basePath).toBe('')
    expect(configOf({ BASE_PATH: '/' }).basePath).toBe('')
    expect(configOf({ BASE_PATH: '/auth-service/v1/' }).basePath).toBe('/auth-service/v1')
  })

  test('CORS_ORIGINS: parses a list of exact origins, none by default', () => {
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
  ])('CORS_ORIGINS: rejects %s and names the rule', (value) => {
    expect(problemsOf({ CORS_ORIGINS: value })).toEqual([
      `CORS_ORIGINS must list exact origins, separated by commas, such as https://app.example.com, without path, trailing slash, default port, uppercase letters or wildcards (got ${JSON.stringify(value)}).`,
    ])
  })

  test.each([
    ['PORT', 'http', 'PORT must be a whole number from 0 to 65535 (got "http").'],
    ['PORT', '65536', 'PORT must be a whole number from 0 to 65535 (got "65536").'],
    ['PORT', '1e3', 'PORT must be a whole number from 0 to 65535 (got "1e3").'],
    ['LOG_FORMAT', 'xml', 'LOG_FORMAT must be one of json, pretty (got "xml").'],
    ['BASE_PATH', 'api', 'BASE_PATH must be a path such as /api, or empty for the root (got "api").'],
    ['BASE_PATH', '/a/../b', 'BASE_PATH must be a path such as /api, or empty for the root (got "/a/../b").'],
    [
      'TRUSTED_PROXIES',
      '10.0.0.0/33',
      'TRUSTED_PROXIES must list IP addresses or CIDR networks, separated by commas, such as 127.0.0.1, 172.16.0.0/12 (got "10.0.0.0/33").',
    ],
    ['DATABASE_POOL_SIZE', '11', 'DATABASE_POOL_SIZE must be a whole number from 1 to 10 (got "11").'],
    [
      'ADMIN_USERNAME',
      'two words',
      'ADMIN_USERNAME must be 1 to 50 of the characters A-Z a-z 0-9 . _ @ + - (got "two words").',
    ],
    ['ADMIN_FULL_NAME', '  ', 'ADMIN_FULL_NAME must be 1 to 100 characters on one line (got "  ").'],
    ['ADMIN_FULL_NAME', 'Ada\u202e', 'ADMIN_FULL_NAME must be 1 to 100 characters on one line (got "Ada\u202e").'],
    [
      'ADMIN_FULL_NAME',
      'a'.repeat(101),
      `ADMIN_FULL_NAME must be 1 to 100 characters on one line (got "${'a'.repeat(101)}").`,
    ],
  ])('%s=%s: is rejected with the name, the rule and the value', (name, value, line) => {
    expect(problemsOf({ [name]: value })).toEqual([line])
  })

  test.each([
    ['SECRET_KEY', 'short-and-secret'],
    ['DATABASE_URL', 'mysql://root:short-and-secret@localhost/x'],
    ['DATABASE_URL', 'postgres://root:short-and-secret@local host/x'],
    ['DATABASE_URL', 'postgres://root:short-and-secret@localhost/x?sslmode=short-and-secret'],
    ['ADMIN_PASSWORD', `short-and-secret\0`],
  ])('an invalid %s is rejected without echoing it', (name, value) => {
    const [line = ''] = problemsOf({ [name]: value })
    expect(line).toStartWith(`${name} must `)
    expect(line).not.toContain('short-and-secret')
  })

  test('ADMIN_PASSWORD: counts characters as the password policy does', () => {
    expect(problemsOf({ ADMIN_PASSWORD: '\u{1f600}'.repeat(1024) })).toEqual([])
    expect(problemsOf({ ADMIN_PASSWORD: '\u{1f600}'.repeat(1025) })).toHaveLength(1)
  })

  test('all problems are reported at once', () => {
    expect(problemsOf({ PORT: 'x', HOST: '!', LOG_LEVEL: 'loud' })).toHaveLength(3)
  })
})

describe('secrets', () => {
  test('are read from a file, without its final line break', () => {
    const file = join(directory, 'secret')
    writeFileSync(file, `${'s'.repeat(32)}\n`)
    expect(configOf({ SECRET_KEY_FILE: file }).secretKey).toBe('s'.repeat(32))
  })

  test('are rejected when set both directly and as a file', () => {
    expect(problemsOf({ SECRET_KEY: 's'.repeat(32), SECRET_KEY_FILE: '/nowhere' })).toEqual([
      'SECRET_KEY and SECRET_KEY_FILE are both set. Set only one of them.',
    ])
  })

  test('report a missing file with its path', () => {
    expect(problemsOf({ SECRET_KEY_FILE: '/nowhere' })).toEqual(['SECRET_KEY_FILE: cannot read "/nowhere" (ENOENT).'])
  })

  test.each([
    ['is empty', '\n'],
    ['is not UTF-8 text', Buffer.alloc(40, 0xff)],
  ])('are rejected when their file %s', (reason, contents) => {
    const file = join(directory, reason.replaceAll(' ', '-'))
    writeFileSync(file, contents)
    for (const name of ['SECRET_KEY_FILE', 'ADMIN_PASSWORD_FILE']) {
      expect(problemsOf({ [name]: file })).toEqual([`${name}: ${JSON.stringify(file)} ${reason}.`])
    }
  })

  test('are not echoed when the value in their file is invalid', () => {
    const file = join(directory, 'short')
    writeFileSync(file, 'short-and-secret')
    expect(problemsOf({ SECRET_KEY_FILE: file })).toEqual([
      'SECRET_KEY (from SECRET_KEY_FILE) must be at least 32 bytes (generate one with: openssl rand -hex 32).',
    ])
  })
})

describe('--env-file', () => {
  test('is not overridden by empty variables', () => {
    const file = join(directory, 'masked.env')
    writeFileSync(file, 'PORT=9001\nDATABASE_URL=postgresql://h/x\n')
    expect(configOf({ PORT: '', DATABASE_URL: '' }, file)).toMatchObject({ port: 9001, databaseUrl: { host: 'h' } })
    expect(configOf({ BASE_PATH: '' }, file).basePath).toBe('')
  })

  test('provides settings that the environment overrides', () => {
    const file = join(directory, 'settings.env')
    writeFileSync(file, '# a comment\nPORT=9001\nADMIN_FULL_NAME="Ada Lovelace"\nISSUER=from-file\n')
    const config = configOf({ ISSUER: 'from-environment' }, file)
    expect(config).toMatchObject({ port: 9001, adminFullName: 'Ada Lovelace', issuer: 'from-environment' })
  })

  test('is rejected when it cannot be read', () => {
    expect(readConfig({}, '/nowhere.env')).toMatchObject({
      ok: false,
      problems: ['--env-file: cannot read "/nowhere.env" (ENOENT).'],
    })
  })
})
