import { describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig } from '../../src/config/config.ts'
import { settings } from '../../src/config/settings.ts'
import { temporaryDirectory } from '../endOfFile.ts'

const directory = temporaryDirectory('names')
const names = Object.values(settings).map(({ env }) => env)

function resultOf(environment: Record<string, string>, file?: string) {
  const path = join(directory, `${crypto.randomUUID()}.env`)
  if (file !== undefined) writeFileSync(path, file)
  const result = readConfig(environment, file === undefined ? undefined : path)
  return result.ok ? { problems: [], warnings: result.warnings } : { problems: result.problems, warnings: [] }
}

const misspelled = [
  ['DATABSE_URL', 'DATABASE_URL'],
  ['DATABASE_URI', 'DATABASE_URL'],
  ['database_url', 'DATABASE_URL'],
  ['DATABASEURL', 'DATABASE_URL'],
  ['AUDITTRAIL_DATABASE_URL', 'DATABASE_URL'],
  ['DATABASE_URL_FIEL', 'DATABASE_URL_FILE'],
  ['SECRETKEY', 'SECRET_KEY'],
  ['TRUSTED_PROXY', 'TRUSTED_PROXIES'],
  ['CORS_ORIGIN', 'CORS_ORIGINS'],
  ['ADMIN_PASSWD', 'ADMIN_PASSWORD'],
  ['DATA_DIR_FILE', 'DATA_DIR'],
  ['ISSUER_FILE', 'ISSUER'],
  ['AUDITTRAIL_PORT', 'PORT'],
  ['PROT', 'PORT'],
] as const

describe('a misspelled setting', () => {
  test.each(misspelled)('%s is rejected in --env-file with what it means', (name, meant) => {
    expect(resultOf({}, `PORT=1\n${name}=1`).problems).toContain(
      `--env-file, line 2: ${name} is not a setting. Did you mean ${meant}?`,
    )
  })

  test.each(misspelled)('%s gets a warning in the environment', (name, meant) => {
    expect(resultOf({ [name]: '1' })).toEqual({
      problems: [],
      warnings: [`The environment variable ${name} is not a setting and has no effect. Did you mean ${meant}?`],
    })
  })

  test.each(names)('%s: is recognized without a letter, with one too many, with two swapped', (name) => {
    const at = Math.floor(name.length / 2)
    const typos = [
      name.slice(0, at) + name.slice(at + 1),
      `${name.slice(0, at)}X${name.slice(at)}`,
      name.slice(0, at - 1) + name[at] + name[at - 1] + name.slice(at + 1),
    ].filter((typo) => typo !== name)
    for (const typo of typos)
      expect(resultOf({}, `${typo}=1`).problems).toEqual([expect.stringContaining(`Did you mean ${name}`)])
  })

  test('is not suspected in the environment once the setting itself is set', () => {
    const key = 'k'.repeat(32)
    expect(resultOf({ SECRET_KEYS: key, SECRET_KEY: key })).toEqual({ problems: [], warnings: [] })
    expect(resultOf({ LOGLEVEL: 'info' }, 'LOG_LEVEL=warn')).toEqual({ problems: [], warnings: [] })
  })
})

test.each(['FOO', 'DATABASE_NAME', 'POSTGRES_PASSWORD', 'HTTP_PORT', 'AUDITTRAIL_FOO', 'PATH'])(
  'the unknown name %s gets a warning in --env-file and none in the environment',
  (name) => {
    expect(resultOf({}, `${name}=1`)).toEqual({
      problems: [],
      warnings: [`--env-file, line 1: ${name} is not a setting and has no effect.`],
    })
    expect(resultOf({ [name]: '1' })).toEqual({ problems: [], warnings: [] })
  },
)

test('names that other programs use in a shared environment get no warning', () => {
  const others =
    'HOME PORT_FILE HOSTS HOSTNAME PORTS POST port host DOC DOCK USER ISSUE METRIC LOGNAME LOG_FILE LOG_DIR BASE_URL BASE_DIR ' +
    'DATA_PATH JAVA_DIR META_DIR DATABASE_URL_FOO DATABASE_URL_REPLICA DATABASE_HOST DATABASE_USER DATABASE_KEY ' +
    'SECRET_KEY_BASE DJANGO_SECRET_KEY JWT_SECRET_KEY AWS_SECRET_KEY SECRET PGPORT PGHOST PORT0 SSH_PORT HTTP_HOST ' +
    'ADMIN_USER ADMIN_EMAIL PASSWORD API_BASE_PATH XDG_DATA_DIRS NODE_ENV LOG_PATH ALGO'
  const environment = Object.fromEntries(others.split(' ').map((name) => [name, '1']))
  // Kubernetes sets these for a service that is called audittrail.
  const links = { AUDITTRAIL_PORT: 'tcp://10.0.0.1:8000', AUDITTRAIL_SERVICE_HOST: '10.0.0.1' }
  expect(resultOf({ ...environment, ...links })).toEqual({ problems: [], warnings: [] })
})

test.each(['SzQx8vKpLm3RtY7uWq2eNb==', 'szQx8vKpLm3RtY7uWq2eN=', 'JBSWY3DPEHPK3PXP====', 'SzQx8_KpLm3R.tY7u-Wq2eNb=='])(
  'the end of a secret that was wrapped, %s, is not echoed as an unknown name',
  (line) => {
    const { problems, warnings } = resultOf({}, `SECRET_KEY=${'k'.repeat(64)}\n${line}`)
    expect(problems).toEqual([])
    expect(warnings).toEqual([
      '--env-file, line 2: This name is not a setting and has no effect. If the line continues the value above, write that value on one line.',
    ])
  },
)
