import { afterAll, describe, expect, test } from 'bun:test'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig } from '../../src/config/config.ts'
import { temporaryDirectory } from '../endOfFile.ts'

const directory = temporaryDirectory('config')
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
    expect(configOf({ PORT: '', SECRET_KEY: '' })).toMatchObject({ port: 8000, secretKey: undefined })
  })

  test.each([
    [{ DATABASE_URL: '' }, undefined],
    [{ DATABASE_URL: '\r\n' }, undefined],
    [{ DATABASE_URL_FILE: '' }, undefined],
    [{}, 'DATABASE_URL=\n'],
    [{ DATABASE_URL: '' }, 'DATABASE_URL=""\n'],
    [{}, 'DATABASE_URL=  # later\n'],
  ])('%j and the file %j: an empty DATABASE_URL does not start the embedded database', (environment, contents) => {
    const file = join(directory, 'empty.env')
    writeFileSync(file, contents ?? '')
    expect(readConfig(environment, file)).toEqual({
      ok: false,
      problems: [
        'DATABASE_URL is set but empty. Set it to the URL of your PostgreSQL database, or remove it to use the embedded database in DATA_DIR.',
      ],
    })
  })

  test('SECRET_KEY: an empty value gets a warning, because the key in DATA_DIR is used', () => {
    expect(readConfig({ SECRET_KEY: '' })).toMatchObject({
      warnings: ['SECRET_KEY is set but empty, so the key in DATA_DIR/secret.key is used.'],
    })
    expect(readConfig({})).toMatchObject({ warnings: [] })
  })

  test.each([
    ['PORT', '9001\r', 'port', 9001],
    ['DATA_DIR', '/data\n', 'dataDir', '/data'],
    ['SECRET_KEY', `${'k'.repeat(32)}\n`, 'secretKey', 'k'.repeat(32)],
    ['SECRET_KEY', `${'k'.repeat(32)}\r\n\n`, 'secretKey', 'k'.repeat(32)],
    ['ADMIN_PASSWORD', 'a long pass phrase 77\n', 'adminPassword', 'a long pass phrase 77'],
  ])('%s=%j: loses its trailing line breaks', (name, text, key, value) => {
    expect(configOf({ [name]: text })).toMatchObject({ [key]: value })
  })

  test('SECRET_KEY: keeps how an earlier version read it, if that differs', () => {
    const key = 'k'.repeat(32)
    const file = join(directory, 'former.env')
    writeFileSync(file, `SECRET_KEY=${key}#rest\n`)
    expect(configOf({}, file)).toMatchObject({ secretKey: `${key}#rest`, formerSecretKey: key })
    expect(configOf({ SECRET_KEY: `${key}\n` })).toMatchObject({ secretKey: key, formerSecretKey: `${key}\n` })
    writeFileSync(file, `${key}\n\n`)
    expect(configOf({ SECRET_KEY_FILE: file })).toMatchObject({ secretKey: key, formerSecretKey: `${key}\n` })
    writeFileSync(file, `${key}\n`)
    expect(configOf({ SECRET_KEY_FILE: file })).toMatchObject({ secretKey: key, formerSecretKey: undefined })
    expect(configOf({ SECRET_KEY: key }).formerSecretKey).toBeUndefined()
  })

  test('BASE_PATH: empty means the root', () => {
    expect(configOf({ BASE_PATH: '' }).basePath).toBe('')
    expect(configOf({ BASE_PATH: '/' }).basePath).toBe('')
    expect(configOf({ BASE_PATH: '/auth-service/v1/' }).basePath).toBe('/auth-service/v1')
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
    ['PAGE_TITLE', 'a'.repeat(61), `PAGE_TITLE must be 1 to 60 characters on one line (got "${'a'.repeat(61)}").`],
    ['PAGE_TITLE', 'North\u202e', 'PAGE_TITLE must be 1 to 60 characters on one line (got "North\u202e").'],
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

  test.each([
    ['LOG_LEVEL', 'INFO', 'logLevel', 'info'],
    ['LOG_LEVEL', 'Warning', 'logLevel', 'warn'],
    ['LOG_LEVEL', 'CRITICAL', 'logLevel', 'error'],
    ['LOG_FORMAT', 'JSON', 'logFormat', 'json'],
    ['LOG_REQUESTS', 'Errors', 'logRequests', 'errors'],
    ['ALGORITHM', 'eddsa', 'algorithm', 'EdDSA'],
    ['PASSWORD_CONCURRENCY', 'AUTO', 'passwordConcurrency', 'auto'],
    ['METRICS', 'OFF', 'metrics', 'off'],
    ['METRICS', 'false', 'metrics', 'off'],
    ...['on', 'ON', 'true', 'True', '1', 'yes'].map((text) => ['DOCS', text, 'docs', 'on'] as const),
    ...['off', 'Off', 'false', 'FALSE', '0', 'no'].map((text) => ['DOCS', text, 'docs', 'off'] as const),
  ] as const)('%s=%s: is accepted in any case and as other programs write it', (name, text, key, value) => {
    expect(configOf({ [name]: text })).toMatchObject({ [key]: value })
  })

  test.each(['maybe', '2', 'of', 'truee'])('DOCS=%s: is rejected', (text) => {
    expect(problemsOf({ DOCS: text })).toEqual([`DOCS must be on or off (got "${text}").`])
  })

  test.each(['a long\npass phrase', 'a long\tpass phrase', 'a long pass phrase\u007f', 'a long pass phrase\u0085'])(
    'ADMIN_PASSWORD: rejects control characters as in %j',
    (password) => {
      expect(problemsOf({ ADMIN_PASSWORD: password })).toEqual([
        'ADMIN_PASSWORD must be at most 1,024 characters, without line breaks, tabs or other control characters.',
      ])
    },
  )

  test('DATA_DIR: rejects control characters', () => {
    expect(problemsOf({ DATA_DIR: '/data\n/other' })).toEqual([
      'DATA_DIR must be a path without control characters (got "/data\\n/other").',
    ])
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
