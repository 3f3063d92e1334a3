import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { login, run, type Server, serve } from '../binary/binary.ts'
import { until } from '../condition.ts'
import { temporaryDirectory } from '../endOfFile.ts'
import { buildTools, client, fsck, spicy } from './tools.ts'

const environment = {
  SECRET_KEY: 'k'.repeat(32),
  ADMIN_PASSWORD: 'a long enough pass phrase',
  PASSWORD_MEMORY_KIB: '8192',
  PASSWORD_TIME_COST: '1',
  ISSUER: 'https://auth.example.com',
  DATA_DIR: join(temporaryDirectory('interop-data'), 'data'),
}

beforeAll(buildTools)

describe('the log of a server', () => {
  const directory = temporaryDirectory('interop-server')
  const vkeyFile = join(directory, 'log.vkey')
  let server: Server
  let vkey: string
  let token: string
  const command = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(args, { environment, directory })
    if (code !== 0) throw new Error(stdout + stderr)
    return stdout.trimEnd()
  }
  beforeAll(async () => {
    server = await serve({ environment })
    for (let count = 0; count < 5; count++) await login(server.url, 'admin', environment.ADMIN_PASSWORD)
    token = await command('apikey', 'create', 'auditor', '--scope', 'audit:read')
    vkey = await command('audit', 'key')
    writeFileSync(vkeyFile, `${vkey}\n`)
    await until(async () => (await sizeOfLog()) >= 7)
  })
  afterAll(async () => {
    await server?.stop()
  })

  const headers = () => ({ authorization: `Bearer ${token}` })
  const sizeOfLog = async () => {
    const note = await (await fetch(`${server.url}/audit/log/checkpoint`, { headers: headers() })).text()
    return Number(note.split('\n')[1])
  }

  test('has the name and key of its URL', () => {
    expect(vkey).toMatch(/^auth\.example\.com\/api\/audit\/log\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{44}$/)
  })

  test('verifies over HTTP with fsck and torchwood', async () => {
    const url = `${server.url}/audit/log/`
    expect(await fsck(url, vkeyFile, token)).toBe('')
    expect(Number(await client('check', url, vkey, token))).toBeGreaterThanOrEqual(7)
  })

  test('does not verify with the key of another log', async () => {
    const other = join(directory, 'other.vkey')
    writeFileSync(other, 'auth.example.com/api/audit/log+35255d68+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs\n')
    expect(await fsck(`${server.url}/audit/log/`, other, token)).not.toBe('')
  })

  test('verifies as an export, while the server runs', async () => {
    await command('audit', 'export', 'export')
    expect(readdirSync(join(directory, 'export')).sort()).toEqual(['checkpoint', 'checkpoints', 'log.vkey', 'tile'])
    expect(readFileSync(join(directory, 'export/log.vkey'), 'utf8')).toBe(`${vkey}\n`)
    expect(await fsck(`file://${directory}/export/`, vkeyFile)).toBe('')
    expect(Number(await client('check', join(directory, 'export'), vkey))).toBeGreaterThanOrEqual(7)
  })

  test('has events that torchwood and spicy verify', async () => {
    const indexes = [0, 3, 6]
    for (const index of indexes) await command('audit', 'proof', String(index), '--out', 'proofs')
    const files = indexes.map((index) => join(directory, `proofs/event-${index}.json`))
    expect(await client('events', vkey, ...files)).toBe('3')
    for (const file of files) expect(await spicy(vkey, file)).toBe('')
  })

  test('has no event that was changed', async () => {
    const file = join(directory, 'proofs/event-0.json')
    writeFileSync(file, readFileSync(file, 'utf8').replace('"v":1', '"v":2'))
    await expect(client('events', vkey, file)).rejects.toThrow('verification failed')
    expect(await spicy(vkey, file)).not.toBe('')
  })
})
