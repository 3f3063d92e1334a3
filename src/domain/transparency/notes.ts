/** Returns notes as the text of one file. Each is followed by an empty line. */
export function joinNotes(notes: readonly string[]): string {
  return notes.map((note) => `${note}\n`).join('')
}

/**
 * Returns the notes of such a text, and what follows the last one that is complete: the signature
 * lines of a note end where a line is none.
 */
export function splitNotes(text: string): { readonly notes: readonly string[]; readonly rest: string } {
  const notes: string[] = []
  const format = /((?:.+\n)+\n(?:— .+\n)+)\n/uy
  let end = 0
  for (let match = format.exec(text); match; match = format.exec(text)) {
    notes.push(match[1] ?? '')
    end = format.lastIndex
  }
  return { notes, rest: text.slice(end) }
}
