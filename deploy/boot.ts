import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Starts dist/audittrail in an empty directory, signs in as the seeded administrator, and stops it.
 */
const binary = join(import.meta.dir, '../dist/audittrail')
const directory = mkdtempSync(join(tmpdir(), 'audittrail-boot-'))
process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
const child = Bun.spawn([binary], {
  cwd: directory,
  env: { HOST: '127.0.0.1', PORT: '0' },
  stdout: 'pipe',
  stderr: 'inherit',
})

const url = await readyUrl(child.stdout)
const body = new URLSearchParams({ username: 'admin', password: 'changeme' })
const { access_token: token } = (await (await fetch(`${url}/auth/login`, { method: 'POST', body })).json()) as {
  access_token: string
}
const me = await fetch(`${url}/auth/me`, { headers: { authorization: `Bearer ${token}` } })
console.log(`${me.status} ${await me.text()}`)
child.kill('SIGTERM')
const code = await child.exited
if (me.status !== 200 || code !== 0)
  throw new Error(`/auth/me returned ${me.status}, and the server exited with code ${code}.`)

async function readyUrl(stdout: ReadableStream<Uint8Array>): Promise<string> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of stdout) {
    text += decoder.decode(chunk, { stream: true })
    const line = text.split('\n').find((candidate) => candidate.includes('server.ready'))
    if (line) return JSON.parse(line).url
  }
  throw new Error(`The server exited before it was ready:\n${text}`)
}
