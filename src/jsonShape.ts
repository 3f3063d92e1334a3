/** What JSON.parse does not tell of a text. */
export interface JsonShape {
  /** How deep objects and arrays stand in one another; 1 for one alone. */
  readonly depth: number
  /** An object has two members of one name: JSON.parse keeps the last and tells nobody (RFC 7493 §2.3). */
  readonly repeatsMember: boolean
}

/** Walks over a text that is JSON already. */
export function shapeOfJson(text: string): JsonShape {
  /** The names that each open object has had so far; undefined for an array. */
  const open: (Set<string> | undefined)[] = []
  let depth = 0
  let repeatsMember = false
  let expectsName = false
  for (let at = 0; at < text.length; at++) {
    const letter = text[at]
    const names = open.at(-1)
    if (letter === '{' || letter === '[') {
      open.push(letter === '{' ? new Set() : undefined)
      depth = Math.max(depth, open.length)
      expectsName = letter === '{'
    } else if (letter === '}' || letter === ']') {
      open.pop()
      expectsName = false
    } else if (letter === ',') {
      expectsName = names !== undefined
    } else if (letter === '"') {
      const end = endOfString(text, at)
      if (expectsName) {
        const name: string = JSON.parse(text.slice(at, end + 1))
        repeatsMember ||= names?.has(name) === true
        names?.add(name)
        expectsName = false
      }
      at = end
    }
  }
  return { depth, repeatsMember }
}

/** Where the string ends that begins at `from`. */
function endOfString(text: string, from: number): number {
  let at = from + 1
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at
}
