import type { PresentedEvent } from '../../domain/audit/presentEvent.ts'
import type { OpenStreams } from '../edge/openStreams.ts'
import { csvHeader, csvLineOf } from './csv.ts'

/** The formats that return all records in one response. */
export const streamFormats = {
  'application/x-ndjson': {
    name: 'ndjson',
    contentType: 'application/x-ndjson',
    header: '',
    lineOf: (event: PresentedEvent) => `${JSON.stringify(event)}\n`,
  },
  'text/csv': {
    name: 'csv',
    contentType: 'text/csv; charset=utf-8; header=present',
    header: csvHeader,
    lineOf: csvLineOf,
  },
} as const
export type StreamFormat = keyof typeof streamFormats

export function headersOf(format: StreamFormat): Readonly<Record<string, string>> {
  return { 'content-type': streamFormats[format].contentType, vary: 'Accept' }
}

type Pages = AsyncGenerator<readonly PresentedEvent[], void>

/**
 * Returns a response that reads a page once the client has taken the one before. Reads the first
 * page before it responds, so that a failure there gets an error response. A later one breaks the
 * connection: the client must not take a part for the whole.
 */
export async function streamedResponse(
  pages: Pages,
  format: StreamFormat,
  { openStreams, onFailure }: { readonly openStreams: OpenStreams; readonly onFailure: (error: unknown) => void },
): Promise<Response> {
  const first = await pages.next()
  const chunks = chunksOf(first.value ?? [], pages, format)
  let forget = () => {}
  const body = new ReadableStream<Uint8Array>(
    {
      start: (controller) => {
        forget = openStreams.add((reason) => controller.error(reason))
      },
      pull: async (controller) => {
        try {
          const { done, value } = await chunks.next()
          if (!done) return controller.enqueue(value)
          forget()
          controller.close()
        } catch (error) {
          forget()
          onFailure(error)
          controller.error(error)
        }
      },
      cancel: async () => {
        forget()
        await chunks.return()
      },
    },
    { highWaterMark: 0 },
  )
  return new Response(body, { headers: headersOf(format) })
}

/** Yields the text of the pages, without empty chunks. */
async function* chunksOf(
  first: readonly PresentedEvent[],
  rest: Pages,
  format: StreamFormat,
): AsyncGenerator<Uint8Array, void> {
  const { header, lineOf } = streamFormats[format]
  const encoder = new TextEncoder()
  const opening = header + first.map(lineOf).join('')
  if (opening !== '') yield encoder.encode(opening)
  for await (const events of rest) if (events.length > 0) yield encoder.encode(events.map(lineOf).join(''))
}
