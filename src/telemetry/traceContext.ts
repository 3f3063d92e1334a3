/** Where a request stands in a trace: its id, and the step of the caller that led here. */
export type TraceContext = {
  readonly trace_id: string
  readonly span_id: string
}

const fields = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/

/**
 * Reads a `traceparent` header (W3C Trace Context, §3.2). What is not well-formed is no trace: letters that are not small, ids
 * of zeros, the version ff. A version after 00 may have more behind its four fields (§3.2.4), of which nothing is taken.
 */
export function readTraceparent(header: string | null): TraceContext | undefined {
  if (header === null) return undefined
  const [, version, traceId = '', spanId = '', more] = fields.exec(header) ?? []
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  return { trace_id: traceId, span_id: spanId }
}
