import { afterAll, describe, expect, test } from 'bun:test'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { envExample, markdownTable } from '../../src/cli/commands/config.ts'
import { readConfig } from '../../src/config/config.ts'
import { temporaryDirectory } from '../endOfFile.ts'

const root = join(import.meta.dir, '../..')
const directory = temporaryDirectory('config')
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe('.env.example', () => {
  test('is the output of "audittrail config --env"', () => {
    expect(readFileSync(join(root, '.env.example'), 'utf8')).toBe(envExample())
  })

  test('yields the defaults when every line is uncommented', () => {
    const file = join(directory, 'uncommented.env')
    // An empty DATABASE_URL is rejected.
    writeFileSync(file, envExample().replace(/^# ((?!DATABASE_URL)[A-Z_]+=)/gm, '$1'))
    expect(configOf(file)).toEqual(configOf())
  })
})

test('docs/settings.md contains the output of "audittrail config --markdown"', () => {
  expect(readFileSync(join(root, 'docs/settings.md'), 'utf8')).toContain(markdownTable())
})

function configOf(envFile?: string) {
  const result = readConfig({}, envFile)
  if (!result.ok) throw new Error(result.problems.join('\n'))
  return result.config
}
