import { describe, expect, test } from 'bun:test'
import { createSecretKeySource } from '../../src/app/secretKey.ts'
import { trackCreatedFiles } from '../../src/db/embedded/createdFiles.ts'
import { fingerprintOf } from '../../src/secretKeys.ts'
import { createLog } from '../../src/telemetry/log.ts'

const key = 'k'.repeat(32)

function open(settings: { secretKey: string; formerSecretKey?: string; secretKeyPrevious?: string[] }) {
  const lines: string[] = []
  const log = createLog({ level: 'debug', format: 'json', now: Date.now, write: (line) => lines.push(line) })
  const unset = {
    formerSecretKey: undefined,
    secretKeyPrevious: undefined,
    databaseUrl: undefined,
    dataDir: '/nowhere',
  }
  return { ...createSecretKeySource({ ...unset, ...settings }, log, trackCreatedFiles()), lines }
}

describe('SECRET_KEY', () => {
  test.each([
    ['cut off before a number sign', `${key}#rest`, key],
    ['with a line break at its end', key, `${key}\n`],
  ])('that an earlier version read %s is used that way on a database that knows it so', (_what, now, former) => {
    const source = open({ secretKey: now, formerSecretKey: former })
    expect(source.secretKeys).toThrow('starting')
    source.settle(fingerprintOf(former))
    expect(source.secretKeys().current).toBe(former)
    expect(source.lines).toEqual([expect.stringContaining('secret_key.former_reading')])
    expect(source.lines.join()).not.toContain(key)
    source.settle(fingerprintOf(former))
    expect(source.lines).toHaveLength(1)
  })

  test.each([
    ['new', null],
    ['used with it as it is read now', fingerprintOf(`${key}#rest`)],
    ['used with another key', fingerprintOf('o'.repeat(32))],
  ])('is used as it is read now on a database that is %s', (_what, fingerprint) => {
    const source = open({ secretKey: `${key}#rest`, formerSecretKey: key })
    source.settle(fingerprint)
    expect(source.secretKeys().current).toBe(`${key}#rest`)
    expect(source.lines).toEqual([])
  })

  test.each(['\n', '\r\n'])('without its line break %j fits a database that knows it with one', (end) => {
    const source = open({ secretKey: key })
    expect(source.secretKeys().current).toBe(key)
    source.settle(fingerprintOf(key + end))
    expect(source.secretKeys().current).toBe(key + end)
  })

  test('may have had a line break as a previous key', () => {
    const source = open({ secretKey: 'n'.repeat(32), secretKeyPrevious: [key] })
    expect(source.secretKeys().previous).toEqual([key, `${key}\n`])
  })
})
