import { AsyncLocalStorage } from 'node:async_hooks'
import type { TraceContext } from './traceContext.ts'

/**
 * The trace that is being worked for, so that whatever is logged on the way names it. Only what `run` begins pays for it: a
 * request without a trace goes its way as if this were not here.
 */
export interface Traces {
  run<T>(trace: TraceContext, work: () => T): T
  current(): TraceContext | undefined
}

export function createTraces(): Traces {
  const storage = new AsyncLocalStorage<TraceContext>()
  return { run: (trace, work) => storage.run(trace, work), current: () => storage.getStore() }
}
