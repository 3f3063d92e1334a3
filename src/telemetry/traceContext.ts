/** A request's trace id and the span id of its caller. */
export type TraceContext = {
  readonly trace_id: string
  readonly span_id: string
}

const fields = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/

/**
 * Reads a `traceparent` header (W3C Trace Context, §3.2). Returns undefined if it is malformed:
 * upper case, ids of zeros, or version ff. Later versions may have more fields (§3.2.4), which are
 * ignored.
 */
export function readTraceparent(header: string | null): TraceContext | undefined {
  if (header === null) return undefined
  const [, version, traceId = '', spanId = '', more] = fields.exec(header) ?? []
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  return { trace_id: traceId, span_id: spanId }
}
