import { afterAll, describe, expect, test } from 'bun:test'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig } from '../../src/config/config.ts'
import { temporaryDirectory } from '../endOfFile.ts'

const directory = temporaryDirectory('env-file')
afterAll(() => rmSync(directory, { recursive: true, force: true }))

function configOf(environment: Record<string, string>, envFile?: string) {
  const result = readConfig(environment, envFile)
  if (!result.ok) throw new Error(result.problems.join('\n'))
  return result.config
}

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

  test.each([
    ['ADMIN_PASSWORD=pa$$word', 'line 1: ADMIN_PASSWORD has a dollar sign'],
    ['\n\nSECRET_KEY=`short-and-secret`', 'line 3: SECRET_KEY has a backtick'],
    ["ADMIN_PASSWORD=don't", 'line 1: ADMIN_PASSWORD has an unbalanced quote'],
    ['SECRET_KEY="short-and-secret', 'line 1: SECRET_KEY has an opening quote'],
    ['DATABASE_URL postgresql://short-and-secret/x', 'line 1: must be NAME=value'],
  ])('%j: is rejected with its line, and without echoing the value', (contents, problem) => {
    const file = join(directory, 'ambiguous.env')
    writeFileSync(file, contents)
    const result = readConfig({}, file)
    const problems = result.ok ? [] : result.problems
    expect(problems).toEqual([expect.stringContaining(`--env-file, ${problem}`)])
    expect(problems.join()).not.toContain('short-and-secret')
  })

  test('accepts any value of a name that is not a setting', () => {
    const file = join(directory, 'foreign.env')
    writeFileSync(file, 'PS1=$HOME `date`\n')
    expect(readConfig({}, file)).toMatchObject({ ok: true })
  })

  test.each([
    ['PORT=1\nPORT=2', 'line 2: PORT is set again. The last value counts.'],
    ['ADMIN_PASSWORD=a long # comment', 'line 1: ADMIN_PASSWORD is followed by a comment'],
    ['export PORT=1', 'line 1: PORT has "export" before it'],
    ['ADMIN_PASSWORD="a$b"', 'line 1: ADMIN_PASSWORD has a dollar sign, which Docker Compose would expand'],
  ])('%j: gets a warning', (contents, warning) => {
    const file = join(directory, 'doubtful.env')
    writeFileSync(file, contents)
    expect(readConfig({}, file)).toMatchObject({ warnings: [expect.stringContaining(`--env-file, ${warning}`)] })
  })

  test('is rejected when it is not UTF-8 text', () => {
    const file = join(directory, 'utf16.env')
    for (const contents of [Buffer.from('\ufeffPORT=1', 'utf16le'), Buffer.from('PORT=1', 'utf16le')]) {
      writeFileSync(file, contents)
      expect(readConfig({}, file)).toEqual({
        ok: false,
        problems: [`--env-file: ${JSON.stringify(file)} is not UTF-8 text.`],
      })
    }
  })

  test('is rejected when it cannot be read', () => {
    expect(readConfig({}, '/nowhere.env')).toMatchObject({
      ok: false,
      problems: ['--env-file: cannot read "/nowhere.env" (ENOENT).'],
    })
  })
})

describe('the environment', () => {
  const warningsOf = (environment: Record<string, string>) => {
    const result = readConfig(environment)
    return result.ok ? result.warnings : result.problems
  }

  test('gets a warning for quotes that are part of a value, as docker run --env-file leaves them', () => {
    for (const quote of ['"', "'"])
      expect(warningsOf({ SECRET_KEY: quote + 'k'.repeat(32) + quote, ISSUER: 'it\'s"' })).toEqual([
        'The quotes around the environment variable SECRET_KEY are part of its value. Remove them, unless you mean them.',
      ])
    expect(warningsOf({ OTHER: '"quoted"' })).toEqual([])
  })

  test('gets a warning for an empty DATA_DIR, unless it is not used', () => {
    expect(warningsOf({ DATA_DIR: '' })).toEqual([
      'DATA_DIR is set but empty, so ./data in the working directory is used.',
    ])
    expect(warningsOf({ DATA_DIR: '', DATABASE_URL: 'postgresql://h/d' })).toEqual([])
  })
})
