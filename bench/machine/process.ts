import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { temporaryDirectory } from '../../test/endOfFile.ts'
import { freePort } from '../../test/postgresqlServer.ts'

export const root = join(import.meta.dir, '../..')
export const binary = join(root, 'dist/audittrail')

export function emptyDirectory(): string {
  return temporaryDirectory('bench')
}

export interface Started {
  readonly port: number
  readonly process: ChildProcess
  /** Milliseconds from exec to the first 200 on `path`. */
  readonly milliseconds: number
  stop(signal?: NodeJS.Signals): Promise<void>
}

export interface StartOptions {
  readonly file: string
  readonly args?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly directory?: string
  readonly path?: string
}

/** Starts a server and polls `path` every half millisecond until it returns 200. */
export async function start({
  file,
  args = [],
  environment = {},
  directory = emptyDirectory(),
  path = '/',
}: StartOptions): Promise<Started> {
  const port = await freePort()
  const started = performance.now()
  const child = spawn(file, args, {
    cwd: directory,
    env: { HOST: '127.0.0.1', PORT: String(port), ...environment },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  // Not left behind if the suite fails.
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  for (;;) {
    const status = await fetch(`http://127.0.0.1:${port}${path}`).then(
      (response) => response.status,
      () => 0,
    )
    if (status === 200) break
    if (child.exitCode !== null) throw new Error(`${file} exited with code ${child.exitCode}.`)
    await Bun.sleep(0.5)
  }
  return {
    port,
    process: child,
    milliseconds: performance.now() - started,
    stop: async (signal = 'SIGTERM') => {
      process.off('exit', kill)
      child.kill(signal)
      await ended
    },
  }
}

/** Runs a command that prints JSON in its last line. */
export async function runJson<T>(command: string[], environment: Record<string, string> = {}, input = ''): Promise<T> {
  const child = Bun.spawn(command, {
    cwd: root,
    stdin: Buffer.from(input),
    stdout: 'pipe',
    stderr: 'inherit',
    env: { PATH: process.env.PATH ?? '', ...environment },
  })
  const lines = (await new Response(child.stdout).text()).trim().split('\n')
  return JSON.parse(lines.at(-1) ?? '') as T
}
