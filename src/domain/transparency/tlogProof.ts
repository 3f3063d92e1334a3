/** The proof that a record is in the log (c2sp.org/tlog-proof). */
export interface TlogProof {
  readonly index: number
  /** From the sibling of the leaf up. */
  readonly hashes: readonly Buffer[]
  /** The signed checkpoint. */
  readonly note: string
}

const header = 'c2sp.org/tlog-proof@v1\n'
const hashLength = 32

export function writeTlogProof(proof: TlogProof): string {
  return header + writeSpicy(proof)
}

/** Returns the form that `spicy` reads, which has no header. */
export function writeSpicy({ index, hashes, note }: TlogProof): string {
  const lines = hashes.map((hash) => `${hash.toString('base64')}\n`)
  return `index ${index}\n${lines.join('')}\n${note}`
}

const format = /^c2sp\.org\/tlog-proof@v1\n(?:extra [A-Za-z0-9+/=]*\n)?index (0|[1-9]\d{0,15})\n((?:.+\n)*)\n/

/** Parses a proof, and verifies nothing. Ignores extra data. Undefined if it is malformed. */
export function readTlogProof(text: string): TlogProof | undefined {
  const [start, index, lines = ''] = format.exec(text) ?? []
  if (start === undefined || !Number.isSafeInteger(Number(index))) return undefined
  const encoded = lines.split('\n').slice(0, -1)
  const hashes = encoded.map((line) => Buffer.from(line, 'base64'))
  const isWhole = hashes.every((hash, at) => hash.length === hashLength && hash.toString('base64') === encoded[at])
  return isWhole ? { index: Number(index), hashes, note: text.slice(start.length) } : undefined
}
