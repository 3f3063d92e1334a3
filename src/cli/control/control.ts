import { chmodSync, rmSync } from 'node:fs'
import type { Deps } from '../../domain/deps.ts'
import { AppError } from '../../error.ts'
import { type OperationInput, type OperationName, type OperationOutput, operations } from './operations.ts'
import { type Refusal, refusalOf, socketPath } from './socket.ts'
import { streamedOperations } from './streams.ts'

/**
 * A file of users is as long as it is, and what is asked for takes as long as it takes. Bun's types have no `idleTimeout` for a
 * unix socket; Bun has, of ten seconds.
 */
const patience: object = { maxRequestBodySize: Number.MAX_SAFE_INTEGER, idleTimeout: 0 }

interface Answer {
  readonly output?: unknown
  readonly refusal?: Refusal
}

/**
 * Lets commands reach the server that holds the embedded database: an HTTP listener on a socket in DATA_DIR, for its owner alone
 * (0600). It takes names of operations, never SQL. Answers how to close it.
 */
export function listenForCommands(dataDirectory: string, deps: Deps): () => Promise<void> {
  const path = socketPath(dataDirectory)
  if (path === undefined) {
    deps.log.warn('control.unavailable', {
      detail: 'the path of DATA_DIR is too long for a socket: commands need the server to be stopped',
    })
    return async () => {}
  }
  const server = listenAt(path, deps)
  return async () => {
    await server?.stop(true)
    removeQuietly(path)
  }
}

/** Undefined, and a line in the log, where the disk takes no socket. */
function listenAt(path: string, deps: Deps): Bun.Server<undefined> | undefined {
  try {
    rmSync(path, { force: true })
    const server = Bun.serve({
      unix: path,
      development: false,
      fetch: (request) => answer(deps, request),
      ...patience,
    })
    chmodSync(path, 0o600)
    return server
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    deps.log.warn('control.unavailable', {
      detail: `there can be no socket in DATA_DIR (${code}): commands need the server to be stopped`,
    })
    return undefined
  }
}

/** The next server removes what is left where the disk has turned read-only. */
function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true })
  } catch {}
}

async function answer(deps: Deps, request: Request): Promise<Response> {
  const name = new URL(request.url).pathname.slice(1)
  if (Object.hasOwn(streamedOperations, name)) return streamedOperations[name]?.(deps, request) as Response
  if (!Object.hasOwn(operations, name))
    return Response.json({
      refusal: { code: 'not_found', message: `The server is of another version: it has no ${name}.` },
    })
  try {
    const operation = operations[name as OperationName] as (deps: Deps, input: unknown) => Promise<unknown>
    return Response.json({ output: (await operation(deps, await request.json())) ?? null } satisfies Answer)
  } catch (error) {
    return Response.json({ refusal: refusalOf(deps, name, error) } satisfies Answer)
  }
}

/**
 * Has the server that holds DATA_DIR carry out an operation; undefined where no server listens there. Throws `unavailable` where
 * one took it and went away: whoever carried it out again might do it twice.
 */
export async function askServer<Name extends OperationName>(
  dataDirectory: string,
  name: Name,
  input: OperationInput<Name>,
): Promise<{ output: OperationOutput<Name> } | undefined> {
  const path = socketPath(dataDirectory)
  if (path === undefined) return undefined
  const answer = await ask(path, name, input)
  if (!answer) return undefined
  const { output, refusal } = answer
  if (refusal) throw new AppError(refusal.code, refusal.message)
  return { output: output as OperationOutput<Name> }
}

async function ask(path: string, name: string, input: unknown): Promise<Answer | undefined> {
  try {
    const body = JSON.stringify(input)
    const response = await fetch(`http://localhost/${name}`, { unix: path, method: 'POST', body })
    return (await response.json()) as Answer
  } catch (error) {
    if (nobodyThere.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw new AppError(
      'unavailable',
      'The server that holds the database went away before it was done: see whether it has done it all the same, then try again.',
    )
  }
}

/** What the system says where nobody listens, so that nothing was asked of anybody. */
const nobodyThere = ['ENOENT', 'ECONNREFUSED', 'EACCES', 'EPERM', 'ENOTDIR', 'ENOTSOCK', 'EPROTOTYPE']
