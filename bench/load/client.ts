import { join } from 'node:path'
import { runJson } from '../machine/process.ts'
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

/** Repeats requests for some seconds. Throws if one fails, since errors are faster. */
export function load(options: Omit<ClosedLoop, 'connections'> & { readonly connections?: number }): Promise<Load> {
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
  const outcome: T & { readonly refused: number } = await runJson(command, {}, JSON.stringify(options))
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
