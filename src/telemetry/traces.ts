import { AsyncLocalStorage } from 'node:async_hooks'
import type { TraceContext } from './traceContext.ts'

/**
 * The current trace, so that log lines can name it. Costs nothing for a request without one: only
 * `run` starts one.
 */
export interface Traces {
  run<T>(trace: TraceContext, work: () => T): T
  current(): TraceContext | undefined
}

export function createTraces(): Traces {
  const storage = new AsyncLocalStorage<TraceContext>()
  return { run: (trace, work) => storage.run(trace, work), current: () => storage.getStore() }
}
