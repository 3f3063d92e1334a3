import { cpuMicroseconds } from '../machine/readings.ts'
import type { Row } from '../report/row.ts'
import { type Load, load } from './client.ts'

/**
 * With the CPU time of a request, in microseconds. It hardly depends on what else the machine does.
 */
export interface CostedLoad extends Load {
  readonly serverCost: number
  readonly databaseCost: number
}

/** Repeats requests, and reads the CPU time of both processes and their children. */
export async function loadWithCost(
  options: Parameters<typeof load>[0],
  serverId: number | undefined,
  databaseId: number,
): Promise<CostedLoad> {
  const read = () => ({ server: cpuMicroseconds(serverId ?? 0), database: cpuMicroseconds(databaseId) })
  const before = read()
  const outcome = await load(options)
  const after = read()
  return {
    ...outcome,
    serverCost: (after.server - before.server) / outcome.count,
    databaseCost: (after.database - before.database) / outcome.count,
  }
}

export function costRows(name: string, runs: readonly CostedLoad[]): Row[] {
  return [
    { what: `${name}, CPU of the server per request, µs`, values: runs.map(({ serverCost }) => serverCost) },
    { what: `${name}, CPU of PostgreSQL per request, µs`, values: runs.map(({ databaseCost }) => databaseCost) },
  ]
}

export function totalCosts(runs: readonly CostedLoad[]): number[] {
  return runs.map(({ serverCost, databaseCost }) => serverCost + databaseCost)
}
