import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../test/postgresqlServer.ts'

export const root = join(import.meta.dir, '..')
export const binary = join(root, 'dist/audittrail')
export const reference = join(root, 'dist/bench/reference')

export function emptyDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'audittrail-bench-'))
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
      child.kill(signal)
      await ended
    },
  }
}

/** Returns the resident memory of a process in MB. */
export function residentMegabytes({ pid }: ChildProcess): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1])
  return (pages * 4096) / 1e6
}

export interface Load {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly refused: number
}

/**
 * Repeats a request for some seconds. Throws if a response was not 200, since errors are faster.
 */
export async function load(port: number, connections: number, seconds: number, request: string): Promise<Load> {
  const outcome: Load = await runJson(
    [process.execPath, join(import.meta.dir, 'load.ts'), port, connections, seconds].map(String),
    {},
    request,
  )
  if (outcome.refused > 0) throw new Error(`${outcome.refused} responses were not 200.`)
  return outcome
}

export async function runJson<T>(command: string[], environment: Record<string, string> = {}, input = ''): Promise<T> {
  const child = Bun.spawn(command, {
    stdin: Buffer.from(input),
    stdout: 'pipe',
    stderr: 'inherit',
    env: { PATH: process.env.PATH ?? '', ...environment },
  })
  return JSON.parse(await new Response(child.stdout).text()) as T
}

/** Returns the minimum, median and maximum of the runs. */
export function spread(values: readonly number[]): { min: number; median: number; max: number } {
  const sorted = [...values].sort((a, b) => a - b)
  return { min: sorted[0] ?? 0, median: sorted[sorted.length >> 1] ?? 0, max: sorted.at(-1) ?? 0 }
}

export function describeMachine(): string {
  return `${cpus().length} x ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB, ${process.platform} ${process.arch}, Bun ${Bun.version}`
}
