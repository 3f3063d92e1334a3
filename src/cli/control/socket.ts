import { join, relative, resolve } from 'node:path'
import type { Deps } from '../../domain/deps.ts'
import { AppError, type ErrorCode } from '../../error.ts'
import { describeError } from '../../telemetry/log.ts'

/** How a server says no to a command. */
export interface Refusal {
  readonly code: ErrorCode
  readonly message: string
}

/** Longest path of a unix socket that every system takes (sockaddr_un). */
const longestPath = 103

/** Where a server that holds DATA_DIR listens for commands; undefined where no path to it is short enough. */
export function socketPath(dataDirectory: string): string | undefined {
  const path = join(resolve(dataDirectory), 'control.sock')
  return [path, relative(process.cwd(), path)].find((candidate) => Buffer.byteLength(candidate) <= longestPath)
}

/** What went wrong while an operation was carried out, as the command may hear it. */
export function refusalOf(deps: Pick<Deps, 'log'>, operation: string, error: unknown): Refusal {
  if (error instanceof AppError) return { code: error.code, message: error.message }
  deps.log.error('control.failed', { operation, ...describeError(error) })
  return { code: 'internal', message: 'The server could not do that; its log says more.' }
}
