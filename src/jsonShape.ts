/** Properties of a JSON text that JSON.parse does not report. */
export interface JsonShape {
  /** The nesting depth of objects and arrays; 1 for a flat one. */
  readonly depth: number
  /**
   * An object repeats a member name, of which JSON.parse silently keeps the last (RFC 7493 §2.3).
   */
  readonly repeatsMember: boolean
}

/** Scans a text that is valid JSON. */
export function shapeOfJson(text: string): JsonShape {
  /** The member names of each open object so far. Undefined for an array. */
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

/** Returns the end of the string that starts at `from`. */
function endOfString(text: string, from: number): number {
  let at = from + 1
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at
}
