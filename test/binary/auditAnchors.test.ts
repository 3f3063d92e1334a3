import { describe, expect, test } from 'bun:test'
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../condition.ts'
import { createTestWitness } from '../domain/witnesses/testWitness.ts'
import { emptyDirectory, login, run, serve } from './binary.ts'

const secrets = { SECRET_KEY: 'a'.repeat(32), ADMIN_PASSWORD: 'a long enough pass phrase' }
const cost = { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1' }

describe('AUDIT_CHECKPOINT_FILE', () => {
  test('shows that an older DATA_DIR was restored while the server was stopped', async () => {
    const directory = emptyDirectory()
    const [data, file] = [join(directory, 'data'), join(directory, 'checkpoints')]
    const environment = { ...secrets, ...cost, DATA_DIR: data, AUDIT_CHECKPOINT_FILE: file }
    const signIn = async (url: string) => expect((await login(url, 'admin', secrets.ADMIN_PASSWORD)).status).toBe(200)

    const first = await serve({ environment, directory })
    await signIn(first.url)
    await first.stop()
    cpSync(data, join(directory, 'copy'), { recursive: true })
    const second = await serve({ environment, directory })
    await signIn(second.url)
    await until(() => second.output.stdout.includes('"audit.checkpoint"'))
    const { stdout } = await second.stop()
    const notes = readFileSync(file, 'utf8')
    const logged = stdout.split('\n').flatMap((line) => (line.includes('"audit.checkpoint"') ? [JSON.parse(line)] : []))
    expect(logged.length).toBeGreaterThan(0)
    for (const { note } of logged) expect(notes).toContain(`${note}\n`)
    expect(notes.endsWith(`${logged.at(-1)?.note}\n`)).toBe(true)
    expect((await run(['audit', 'verify'], { environment, directory })).code).toBe(0)

    rmSync(data, { recursive: true })
    cpSync(join(directory, 'copy'), data, { recursive: true })
    const verified = await run(['audit', 'verify'], { environment, directory })
    expect(verified.code).toBe(1)
    expect(verified.stdout).toContain('its end was removed, or an older copy was restored')
    const restored = await serve({ environment, directory })
    await until(() => restored.output.stdout.includes('"reason":"rolled_back"'))
    await signIn(restored.url)
    expect((await run(['audit', 'restored'], { environment, directory })).code).toBe(0)
    await restored.stop()
    expect(readFileSync(file, 'utf8').slice(notes.length)).toMatch(/\/r\d{17}\n/)
  })
})

describe('AUDIT_WITNESSES', () => {
  const key = createTestWitness('witness.example/w', 1).vkey
  test.each([
    [
      'a policy without a quorum',
      `witness w ${key} https://w.example/\n`,
      'is not a tlog-policy file: it has no quorum line',
    ],
    ['a wrong key', 'witness w x+y+z\n', 'is not a tlog-policy file: line 1 has a witness key that is malformed'],
    ['a quorum without URLs', `witness w ${key}\nquorum w\n`, 'has a quorum that its witnesses with a URL cannot meet'],
    [
      'a URL of another scheme',
      `witness w ${key} ftp://w.example/\nquorum w\n`,
      'has a witness whose URL is not https:// or http://',
    ],
    [
      'a URL with a password',
      `witness w ${key} https://a:secret@w.example/\nquorum w\n`,
      'has a witness whose URL is not https://',
    ],
  ])('with %s ends the start with exit code 2', async (_, policy, problem) => {
    const directory = emptyDirectory()
    const file = join(directory, 'policy')
    writeFileSync(file, policy)
    const environment = { ...secrets, HOST: '127.0.0.1', PORT: '0', AUDIT_WITNESSES: file }
    const { code, stderr } = await run([], { environment, directory })
    expect(stderr).toStartWith(`audittrail: The file in AUDIT_WITNESSES ${problem}`)
    expect(stderr).not.toContain('secret')
    expect(code).toBe(2)
  })

  test('with a file that does not exist ends the start with exit code 2', async () => {
    const directory = emptyDirectory()
    const environment = { ...secrets, HOST: '127.0.0.1', PORT: '0', AUDIT_WITNESSES: join(directory, 'none') }
    const { code, stderr } = await run([], { environment, directory })
    expect(stderr).toBe('audittrail: The file in AUDIT_WITNESSES cannot be read (ENOENT).\n')
    expect(code).toBe(2)
  })
})
