import { type Checkpoint, readUnverified } from '../transparency/checkpoint.ts'
import { splitNote } from '../transparency/signedNote.ts'

/** A checkpoint that was kept outside of the database, with its note. No signature was checked. */
export interface KeptCheckpoint extends Checkpoint {
  readonly note: string
}

/**
 * Yields the checkpoints of a file in which notes follow one another. Skips what is none, such as
 * half a note before a crash, and counts it in `skipped`.
 */
export async function* readKeptNotes(
  lines: AsyncIterable<string> | Iterable<string>,
  skipped: () => void = () => {},
): AsyncGenerator<KeptCheckpoint> {
  let text: string | undefined
  for await (const paragraph of paragraphsOf(lines)) {
    if (!paragraph.every((line) => line.startsWith('— '))) {
      if (text !== undefined) skipped()
      text = paragraph.map((line) => `${line}\n`).join('')
      continue
    }
    const kept = text === undefined ? undefined : parseKept(`${text}\n${paragraph.join('\n')}\n`)
    text = undefined
    if (kept) yield kept
    else skipped()
  }
  if (text !== undefined) skipped()
}

async function* paragraphsOf(lines: AsyncIterable<string> | Iterable<string>): AsyncGenerator<string[]> {
  let paragraph: string[] = []
  for await (const line of lines) {
    if (line !== '') paragraph.push(line)
    else if (paragraph.length > 0) {
      yield paragraph
      paragraph = []
    }
    // A note has at most 100 signatures, and a longer paragraph is none.
    if (paragraph.length > 200) paragraph.shift()
  }
  if (paragraph.length > 0) yield paragraph
}

function parseKept(note: string): KeptCheckpoint | undefined {
  const checkpoint = splitNote(note) && readUnverified(note, note.slice(0, note.indexOf('\n')))
  return checkpoint && { ...checkpoint, note }
}
