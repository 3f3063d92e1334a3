import { chmodSync, rmSync } from 'node:fs'
import type { Deps } from '../../domain/deps.ts'
import { AppError } from '../../error.ts'
import { asCommand, type OperationInput, type OperationName, type OperationOutput, operations } from './operations.ts'
import { type Refusal, refusalOf, socketPath } from './socket.ts'
import { streamedOperations } from './streams.ts'

/**
 * No limits: an import may be large and slow. Bun's types lack `idleTimeout` for unix sockets; Bun
 * defaults to 10 s.
 */
const unlimited: object = { maxRequestBodySize: Number.MAX_SAFE_INTEGER, idleTimeout: 0 }

interface ControlResponse {
  readonly output?: unknown
  readonly refusal?: Refusal
}

/**
 * Lets commands reach the server that has the embedded database open: an HTTP listener on a socket
 * in DATA_DIR, private to its owner (0600). Accepts names of operations, never SQL. Returns a
 * function that closes it.
 */
export function listenForCommands(dataDirectory: string, deps: Deps): () => Promise<void> {
  const path = socketPath(dataDirectory)
  if (path === undefined) {
    deps.log.warn('control.unavailable', {
      detail: 'the path of DATA_DIR is too long for a socket; stop the server before you run commands',
    })
    return async () => {}
  }
  const server = listenAt(path, deps)
  return async () => {
    await server?.stop(true)
    removeQuietly(path)
  }
}

/** Returns undefined and logs a warning if the socket cannot be created. */
function listenAt(path: string, deps: Deps): Bun.Server<undefined> | undefined {
  try {
    rmSync(path, { force: true })
    const server = Bun.serve({
      unix: path,
      development: false,
      fetch: (request) => respond(deps, request),
      ...unlimited,
    })
    chmodSync(path, 0o600)
    return server
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    deps.log.warn('control.unavailable', {
      detail: `a socket cannot be created in DATA_DIR (${code}); stop the server before you run commands`,
    })
    return undefined
  }
}

/** On a read-only disk the socket stays. The next server removes it. */
function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true })
  } catch {}
}

async function respond(deps: Deps, request: Request): Promise<Response> {
  const name = new URL(request.url).pathname.slice(1)
  if (Object.hasOwn(streamedOperations, name)) return streamedOperations[name]?.(asCommand(deps), request) as Response
  if (!Object.hasOwn(operations, name))
    return Response.json({
      refusal: {
        code: 'not_found',
        message: `The running server is a different version and does not support ${name}.`,
      },
    })
  try {
    const operation = operations[name as OperationName] as (deps: Deps, input: unknown) => Promise<unknown>
    return Response.json({
      output: (await operation(asCommand(deps), await request.json())) ?? null,
    } satisfies ControlResponse)
  } catch (error) {
    return Response.json({ refusal: refusalOf(deps, name, error) } satisfies ControlResponse)
  }
}

/**
 * Returns whether a server listens for commands. Older servers respond too, if only that they do
 * not know `ping`.
 */
export async function isServerListening(dataDirectory: string): Promise<boolean> {
  const path = socketPath(dataDirectory)
  return path !== undefined && (await ask(path, 'ping', {})) !== undefined
}

/**
 * Runs an operation on the server that has DATA_DIR open. Returns undefined if no server listens
 * there. Throws `unavailable` if the server took it and disappeared: a retry might run it twice.
 */
export async function askServer<Name extends OperationName>(
  dataDirectory: string,
  name: Name,
  input: OperationInput<Name>,
): Promise<{ output: OperationOutput<Name> } | undefined> {
  const path = socketPath(dataDirectory)
  if (path === undefined) return undefined
  const response = await ask(path, name, input)
  if (!response) return undefined
  const { output, refusal } = response
  if (refusal) throw new AppError(refusal.code, refusal.message)
  return { output: output as OperationOutput<Name> }
}

async function ask(path: string, name: string, input: unknown): Promise<ControlResponse | undefined> {
  try {
    const body = JSON.stringify(input)
    const response = await fetch(`http://localhost/${name}`, { unix: path, method: 'POST', body })
    return (await response.json()) as ControlResponse
  } catch (error) {
    if (notListening.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw new AppError(
      'unavailable',
      'The server stopped before it responded. Check whether the change was made, then try again.',
    )
  }
}

/** The system's errors if no server listens, so that nothing was sent. */
const notListening = ['ENOENT', 'ECONNREFUSED', 'EACCES', 'EPERM', 'ENOTDIR', 'ENOTSOCK', 'EPROTOTYPE']
