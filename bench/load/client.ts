import { join } from 'node:path'
import { emptyDirectory, runJson } from '../machine/process.ts'
import { seconds as roundSeconds, rounds } from '../options.ts'
import type { ClosedLoop } from './closedLoop.ts'
import type { OpenLoop } from './openLoop.ts'

/** Latencies are in milliseconds. */
export interface Load {
  readonly count: number
  readonly perSecond: number
  readonly mean: number
  readonly p50: number
  readonly p99: number
  /** The successors of the options' refresh tokens. */
  readonly refreshTokens: readonly string[]
}

export type Probe = Pick<Load, 'p50' | 'p99'>

type LoadOptions = Omit<ClosedLoop, 'connections'> & { readonly connections?: number }

/** Takes less CPU time than the program here, and so leaves more of the cores to the servers. */
export const wrk = Bun.which('wrk')

/**
 * Repeats requests for some seconds, by `wrk` if it is installed. Throws if one fails, since errors
 * are faster.
 */
export async function load({ connections = 32, ...options }: LoadOptions): Promise<Load> {
  if (wrk === null) return loadByBun({ connections, ...options })
  const { port, seconds, requests } = options
  const file = join(emptyDirectory(), 'requests')
  await Bun.write(file, requests.join('\0'))
  const duration = Math.max(1, Math.round(seconds))
  const script = ['-s', join(import.meta.dir, 'wrk.lua'), `http://127.0.0.1:${port}`, '--', file]
  const command = [wrk, '-t1', `-c${connections}`, `-d${duration}s`, '--timeout', '30s', ...script]
  return { ...accepted<Load>(await runJson(command)), refreshTokens: [] }
}

/** Repeats requests by a program of Bun, which can replace refresh tokens. */
export function loadByBun(options: LoadOptions): Promise<Load> {
  return generate<Load>('closedLoop.ts', { connections: 32, ...options })
}

export function ratesOf(runs: readonly Pick<Load, 'perSecond'>[]): number[] {
  return runs.map(({ perSecond }) => perSecond)
}

/** Measures latencies at 100 requests per second. Throws if a request fails. */
export function probe(options: Omit<OpenLoop, 'rate'>): Promise<Probe> {
  return generate<Probe>('openLoop.ts', { rate: 100, ...options })
}

async function generate<T>(file: string, options: object): Promise<T> {
  const command = [process.execPath, join(import.meta.dir, file)]
  return accepted<T>(await runJson(command, {}, JSON.stringify(options)))
}

function accepted<T>(outcome: T & { readonly refused: number }): T {
  if (outcome.refused > 0) throw new Error(`${outcome.refused} requests failed.`)
  return outcome
}

/** Runs for the given seconds. */
export type Run<T> = (seconds: number) => Promise<T>

/**
 * Runs all once to warm up, and then in interleaved rounds (A B C, A B C, …), so that a machine
 * whose speed drifts affects all alike.
 */
export async function interleave<Name extends string, T>(
  runs: Readonly<Record<Name, Run<T>>>,
): Promise<Readonly<Record<Name, readonly T[]>>> {
  const entries = Object.entries<Run<T>>(runs)
  for (const [, run] of entries) await run(1)
  const results = new Map<string, T[]>(entries.map(([name]) => [name, []]))
  for (let round = 0; round < rounds; round++)
    for (const [name, run] of entries) results.get(name)?.push(await run(roundSeconds))
  return Object.fromEntries(results) as unknown as Readonly<Record<Name, readonly T[]>>
}
