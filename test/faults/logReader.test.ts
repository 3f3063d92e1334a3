import { describe, expect, test } from 'bun:test'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { binary, emptyDirectory, login } from '../binary/binary.ts'
import { hasProgram } from '../requirements.ts'
import { password, settings } from './workload.ts'

interface Stalled {
  readonly url: string
  readonly output: () => string
  stopReading(): void
  readOn(): void
  end(): Promise<{ code: number | null; milliseconds: number; stderr: string }>
}

/** A server whose log goes into a pipe that somebody else reads, or no longer reads. */
async function serveInto(options: { stderrToo: boolean }): Promise<Stalled> {
  // The reader has the pipe's other end; stopped, it reads nothing.
  const script = options.stderrToo ? '"$0" serve 2>&1 | cat' : '"$0" serve | cat'
  const child = spawn('bash', ['-c', `set -o pipefail; echo $$; ${script}`, binary], {
    cwd: emptyDirectory(),
    env: { PATH: process.env.PATH ?? '', HOST: '127.0.0.1', PORT: '0', ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const closed = once(child, 'close')
  let [output, stderr] = ['', '']
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  while (!output.includes('server.ready')) await once(child.stdout, 'data')
  const shell = Number(output.split('\n')[0])
  const children = (await Bun.file(`/proc/${shell}/task/${shell}/children`).text()).trim().split(' ').map(Number)
  const names = await Promise.all(children.map((pid) => Bun.file(`/proc/${pid}/comm`).text()))
  const pidOf = (name: string) => children[names.findIndex((found) => found.trim() === name)] ?? 0
  return {
    url: /"url":"([^"]+)"/.exec(output)?.[1] ?? '',
    output: () => output,
    stopReading: () => process.kill(pidOf('cat'), 'SIGSTOP'),
    readOn: () => process.kill(pidOf('cat'), 'SIGCONT'),
    end: async () => {
      const started = performance.now()
      process.kill(pidOf('audittrail'), 'SIGTERM')
      while (await isRunning(pidOf('audittrail'))) await Bun.sleep(20)
      const milliseconds = performance.now() - started
      wake(pidOf('cat'))
      const [code] = await closed
      return { code, milliseconds, stderr }
    },
  }
}

/** A reader that reads has ended with what it read from. */
function wake(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function isRunning(pid: number): Promise<boolean> {
  const state = await Bun.file(`/proc/${pid}/stat`)
    .text()
    .catch(() => 'gone')
  return !/^(gone|\d+ \(.*\) Z)/.test(state)
}

describe.skipIf(process.platform !== 'linux' || !hasProgram('bash', 'bash'))('a reader of the log that stops', () => {
  test('stops no request, gets what there was room for, and is told how many lines it missed', async () => {
    const server = await serveInto({ stderrToo: false })
    server.stopReading()
    // Far more than a pipe and the buffer behind it hold.
    const ask = async () => {
      for (let request = 0; request < 1500; request++) {
        const response = await fetch(`${server.url}/auth/me`, { signal: AbortSignal.timeout(5000) })
        expect(response.status).toBe(401)
      }
    }
    await Promise.all(Array.from({ length: 8 }, ask))
    expect((await login(server.url, 'admin', password)).status).toBe(200)
    server.readOn()
    while (!server.output().includes('log.dropped')) await Bun.sleep(20)
    expect((await login(server.url, 'admin', password)).status).toBe(200)
    expect((await server.end()).code).toBe(0)
    const lines = server
      .output()
      .split('\n')
      .slice(1, -1)
      .map((line) => JSON.parse(line) as { event: string; lines?: number })
    const requests = lines.filter(({ event }) => event === 'request').length
    const dropped = lines.reduce((sum, { event, lines: count = 0 }) => sum + (event === 'log.dropped' ? count : 0), 0)
    expect(dropped).toBeGreaterThan(0)
    // Twice a line of the sign-in stands beside the line of its request.
    expect(requests + dropped).toBeWithin(12_000, 12_010)
  })

  test('does not keep the server from ending', async () => {
    const server = await serveInto({ stderrToo: true })
    server.stopReading()
    for (let request = 0; request < 1000; request++) await fetch(`${server.url}/auth/me`)
    const { code, milliseconds } = await server.end()
    expect(code).toBe(0)
    expect(milliseconds).toBeLessThan(10_000)
  })
})
