import { join, relative, resolve } from 'node:path'
import type { Deps } from '../../domain/deps.ts'
import { AppError, type ErrorCode } from '../../error.ts'
import { describeError } from '../../telemetry/log.ts'

/** A server's error for a command. */
export interface Refusal {
  readonly code: ErrorCode
  readonly message: string
}

/** The longest path of a unix socket that every system accepts (sockaddr_un). */
const maxPathLength = 103

/** Returns the socket on which a server listens for commands. Undefined if its path is too long. */
export function socketPath(dataDirectory: string): string | undefined {
  const path = join(resolve(dataDirectory), 'control.sock')
  return [path, relative(process.cwd(), path)].find((candidate) => Buffer.byteLength(candidate) <= maxPathLength)
}

/** Converts an error of an operation to what the command may see. */
export function refusalOf(deps: Pick<Deps, 'log'>, operation: string, error: unknown): Refusal {
  if (error instanceof AppError) return { code: error.code, message: error.message }
  deps.log.error('control.failed', { operation, ...describeError(error) })
  return { code: 'internal', message: 'The server failed. See its log.' }
}
