import { describe, expect, test } from 'bun:test'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { binary, emptyDirectory, login } from '../binary/binary.ts'
import { hasProgram } from '../requirements.ts'
import { password, settings } from './workload.ts'

interface PipedServer {
  readonly url: string
  readonly output: () => string
  stopReading(): void
  resumeReading(): void
  /** Resolves only if the server ends while nothing is read. */
  end(): Promise<{ code: number | null; stderr: string }>
}

/** Starts a server whose log goes into a pipe that `cat` reads until `stopReading`. */
async function serveIntoPipe(options: { stderrToo: boolean }): Promise<PipedServer> {
  // While `cat` is stopped, nothing reads the pipe.
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
    resumeReading: () => process.kill(pidOf('cat'), 'SIGCONT'),
    end: async () => {
      process.kill(pidOf('audittrail'), 'SIGTERM')
      while (await isRunning(pidOf('audittrail'))) await Bun.sleep(20)
      wake(pidOf('cat'))
      const [code] = await closed
      return { code, stderr }
    },
  }
}

/** Does nothing if the process has ended. */
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

describe.skipIf(process.platform !== 'linux' || !hasProgram('bash', 'bash'))('a log reader that stops reading', () => {
  test('delays no request, later gets the buffered lines, and the number of dropped ones', async () => {
    const server = await serveIntoPipe({ stderrToo: false })
    server.stopReading()
    // Far more than the pipe and the log buffer hold.
    const sendRequests = async () => {
      for (let request = 0; request < 1500; request++) {
        const response = await fetch(`${server.url}/auth/me`, { signal: AbortSignal.timeout(60_000) })
        expect(response.status).toBe(401)
      }
    }
    await Promise.all(Array.from({ length: 8 }, sendRequests))
    expect((await login(server.url, 'admin', password)).status).toBe(200)
    server.resumeReading()
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
    // The two sign-ins are requests too, and add lines of their own.
    expect(requests + dropped).toBeWithin(12_000, 12_010)
  })

  test('does not delay the shutdown', async () => {
    const server = await serveIntoPipe({ stderrToo: true })
    server.stopReading()
    for (let request = 0; request < 1000; request++) await fetch(`${server.url}/auth/me`)
    expect((await server.end()).code).toBe(0)
  })
})
