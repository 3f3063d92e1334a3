import { expect } from 'bun:test'
import { type Finished, login, type Server } from '../binary/binary.ts'
import { startMachineClock } from './machineClock.ts'
import { password } from './workload.ts'

/** Expects exit code 1 and one line for the operator on stderr. */
export function expectEnd(line: RegExp, { code, stderr }: Finished): void {
  expect({ code, lines: stderr.split('\n').length }).toEqual({ code: 1, lines: 2 })
  expect(stderr).toMatch(line)
}

/** Signs the administrator in. Returns the status. */
export async function signIn({ url }: Server): Promise<number> {
  return (await login(url, 'admin', password)).status
}

/** Returns the result of some work and how many milliseconds it took, on the machine's clock. */
export async function timed<T>(work: Promise<T>): Promise<[T, number]> {
  const clock = startMachineClock()
  const started = clock.now()
  const result = await work
  clock.stop()
  return [result, clock.now() - started]
}
