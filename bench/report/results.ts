import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../machine/process.ts'
import { describeMachine } from '../machine/readings.ts'
import type { Row } from './row.ts'

/** The latest run of a suite. */
export interface Result {
  readonly date: string
  readonly rounds: number
  readonly seconds: number
  /** Cores that other programs used during the run. */
  readonly otherLoad: number | undefined
  readonly rows: readonly Row[]
}

export interface Results {
  readonly machine: string
  readonly suites: Readonly<Record<string, Result>>
}

const file = join(root, 'dist/bench/results.json')

export function readResults(): Results {
  const machine = describeMachine()
  if (!existsSync(file)) return { machine, suites: {} }
  const results: Results = JSON.parse(readFileSync(file, 'utf8'))
  return results.machine === machine ? results : { machine, suites: {} }
}

/** Replaces the result of one suite, so that suites can be run one by one. */
export function saveResult(suite: string, result: Result): void {
  const { machine, suites } = readResults()
  mkdirSync(join(root, 'dist/bench'), { recursive: true })
  writeFileSync(file, `${JSON.stringify({ machine, suites: { ...suites, [suite]: result } }, undefined, 2)}\n`)
}
