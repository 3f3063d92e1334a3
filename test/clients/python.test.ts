import { describe, expect, test } from 'bun:test'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { serve } from '../binary/binary.ts'
import { createDatabase } from '../postgresql.ts'
import { hasProgram } from '../requirements.ts'

// Debian's packages work only with Debian's Python, not with another one on PATH.
const python = '/usr/bin/python3'
const library = '/usr/lib/python3/dist-packages/requests_oauthlib'

describe.skipIf(!hasProgram(library, 'python3-requests-oauthlib'))('requests-oauthlib', () => {
  test('signs in with LegacyApplicationClient, reads /auth/me, and raises InvalidGrantError for a wrong password', async () => {
    const server = await serve({ environment: { DATABASE_URL: await createDatabase(), SECRET_KEY: 'k'.repeat(32) } })
    const { code, stdout, stderr } = await run(server.url)
    await server.stop()
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual({
      token_type: 'bearer',
      expires_in: 1800,
      me: { id: expect.any(String), username: 'admin', full_name: 'Default Admin', is_active: true },
      refusal: 'invalid_grant',
      stranger: 401,
    })
  })
})

async function run(url: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(python, [join(import.meta.dir, 'requests_oauthlib_client.py'), url], {
    // oauthlib's own switch for plain http.
    env: { OAUTHLIB_INSECURE_TRANSPORT: '1', PYTHONDONTWRITEBYTECODE: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk) => {
    output.stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    output.stderr += chunk
  })
  const { promise, resolve, reject } = Promise.withResolvers<number | null>()
  child.once('error', reject)
  child.once('close', resolve)
  return { code: await promise, ...output }
}
