import postgres from 'postgres'
import type { EmbeddedDatabase } from '../../../src/db/embedded/engine.ts'

/** Opens postgres.js on the embedded database. */
export function connect(from: EmbeddedDatabase, options: object = {}): postgres.Sql {
  return postgres({
    socket: from.socket,
    max: 1,
    fetch_types: false,
    onnotice: () => {},
    ...options,
  } as unknown as postgres.Options<Record<string, never>>)
}

/** Returns the code with which an operation fails. */
export function errorCode(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'no error',
    (error) => error.code ?? error.message,
  )
}
