import { splitNotes } from '../transparency/notes.ts'

export interface NoteReader {
  /** Yields the notes of a file, each followed by an empty line. */
  notes(): AsyncGenerator<string>
  /** Returns what followed the last complete one. */
  rest(): string
}

/** Longer than any note may be. */
const maxRest = 2_000_000

export function readNotes(chunks: AsyncIterable<Uint8Array>): NoteReader {
  let rest = ''
  async function* notes(): AsyncGenerator<string> {
    // Bytes that are no UTF-8 become characters that no key has signed.
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
    for await (const chunk of chunks) {
      const split = splitNotes(rest + decoder.decode(chunk, { stream: true }))
      rest = split.rest
      yield* split.notes
      if (rest.length > maxRest) return
    }
    rest += decoder.decode()
  }
  return { notes, rest: () => rest }
}
