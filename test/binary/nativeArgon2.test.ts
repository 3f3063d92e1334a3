import { describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { createDatabase } from '../postgresql.ts'
import { freePort } from '../postgresqlServer.ts'
import { login, type Start, serve } from './binary.ts'

/** Hides the descriptors of the rest of the command, so that none has a path to load from. */
const hidingDescriptors = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /proc/$$/fd && exec "$@"', 'sh']
const canHide = spawnSync('unshare', [...hidingDescriptors.slice(1), 'true']).status === 0

async function signIn(start: Start) {
  const port = await freePort()
  const password = 'correct horse battery staple'
  const database = { DATABASE_URL: await createDatabase(), SECRET_KEY: 'k'.repeat(32) }
  const environment = { ...database, METRICS: `127.0.0.1:${port}`, ADMIN_PASSWORD: password, ...start.environment }
  const server = await serve({ ...start, environment })
  try {
    const right = await login(server.url, 'admin', password)
    const wrong = await login(server.url, 'admin', 'incorrect horse')
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    const warnings = server.output.stdout.split('\n').filter((line) => line.includes('hash.addon_unavailable'))
    return { statuses: [right.status, wrong.status], metrics, warnings }
  } finally {
    await server.stop()
  }
}

describe('the argon2 verifier of the executable', () => {
  test('is the native addon, without a warning', async () => {
    const { statuses, metrics, warnings } = await signIn({})
    expect(statuses).toEqual([200, 401])
    expect(metrics).toContain('\naudittrail_hash_native 1\n')
    expect(warnings).toEqual([])
  })

  async function fallsBack(start: Start) {
    const { statuses, metrics, warnings } = await signIn(start)
    expect(statuses).toEqual([200, 401])
    expect(metrics).toContain('\naudittrail_hash_native 0\n')
    expect(warnings).toHaveLength(1)
    expect(JSON.parse(warnings[0] ?? '')).toMatchObject({ level: 'warn', event: 'hash.addon_unavailable' })
  }

  test.skipIf(!canHide)('is Bun.password where the addon does not load, with one warning', () =>
    fallsBack({ command: hidingDescriptors }),
  )

  test('is Bun.password with NATIVE_ARGON2=off, with one warning', () =>
    fallsBack({ environment: { NATIVE_ARGON2: 'off' } }))
})
