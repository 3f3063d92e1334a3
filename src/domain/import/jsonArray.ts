import { AppError } from '../../error.ts'

/**
 * How a byte relates to the current record: part of it, between records, the separator that ends
 * it, or the proof that it is none.
 */
type Step = 'inside' | 'outside' | 'end' | 'discard'

export interface Scanner {
  /**
   * `size` is the number of bytes of the current record so far. Throws `refused` if the file must
   * have ended before.
   */
  step(byte: number, size: number): Step
  /** Throws `refused` if the file must not end here. */
  end(): void
}

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c]
const [braceOpen, braceClose, bracketOpen, bracketClose] = [0x7b, 0x7d, 0x5b, 0x5d]
const lastWhitespace = 0x20

/** Where the scanner is relative to the array of users, or in a realm relative to its own. */
type Position = 'before array' | 'before element' | 'in element' | 'after users of realm' | 'after array'

interface Scan {
  readonly isOfRealms: boolean
  position: Position
  /** Where the scanner is relative to strings. */
  string: 'outside' | 'inside' | 'after backslash'
  depth: number
  /** The depth of the array whose elements are returned. */
  arrayDepth: number
  isDocumentObject: boolean
  /** Whether the current element of the document, an array, is an object. */
  isElementObject: boolean
  /** The last string directly inside such an object, as far as needed to recognize a name. */
  memberName: string
}

/**
 * Scans the elements of the only array of users: the document itself, or the member `users` of the
 * document. With `isOfRealms` the document may also be an array of realms, each with its `users`.
 */
export function arrayElements(isOfRealms = false): Scanner {
  const scan: Scan = {
    isOfRealms,
    position: 'before array',
    string: 'outside',
    depth: 0,
    arrayDepth: 0,
    isDocumentObject: false,
    isElementObject: false,
    memberName: '',
  }
  return { step: (byte) => step(scan, byte), end: () => requireEnd(scan) }
}

function step(scan: Scan, byte: number): Step {
  if (scan.position === 'after array' && scan.depth === 0 && byte > lastWhitespace) throw moreAfterUsers()
  if (scan.string !== 'outside') return stepInString(scan, byte)
  switch (byte) {
    case quote:
      scan.string = 'inside'
      if (isMemberLevel(scan)) scan.memberName = ''
      return content(scan)
    case braceOpen:
    case bracketOpen:
      return open(scan, byte)
    case braceClose:
    case bracketClose:
      return close(scan)
    case comma:
      return isInArray(scan) && scan.depth === scan.arrayDepth ? endElement(scan) : content(scan)
  }
  return byte <= lastWhitespace && scan.position !== 'in element' ? 'outside' : content(scan)
}

function stepInString(scan: Scan, byte: number): Step {
  if (scan.string === 'after backslash') scan.string = 'inside'
  else if (byte === backslash) scan.string = 'after backslash'
  else if (byte === quote) scan.string = 'outside'
  if (scan.string !== 'outside' && isMemberLevel(scan) && scan.memberName.length < 8)
    scan.memberName += String.fromCharCode(byte)
  return content(scan)
}

function open(scan: Scan, byte: number): Step {
  const opened = content(scan)
  scan.depth++
  if (scan.depth === 1) scan.isDocumentObject = byte === braceOpen
  if (scan.depth === 2) scan.isElementObject = byte === braceOpen
  const isNamedUsers = byte === bracketOpen && scan.memberName === 'users'
  if (isNamedUsers && scan.depth === 3 && hasElementsOfRealms(scan)) return openUsers(scan, 'after users of realm')
  const isUsers = scan.isDocumentObject ? isNamedUsers && scan.depth === 2 : byte === bracketOpen && scan.depth === 1
  return isUsers ? openUsers(scan, 'after array') : opened
}

/** Throws if the users before this array were all. */
function openUsers(scan: Scan, end: Position): Step {
  if (scan.position === end) throw moreAfterUsers()
  scan.position = 'before element'
  scan.arrayDepth = scan.depth
  return 'discard'
}

function close(scan: Scan): Step {
  scan.depth--
  if (scan.position === 'after users of realm' && scan.depth === scan.arrayDepth) return endElement(scan)
  if (!isInArray(scan) || scan.depth >= scan.arrayDepth) return content(scan)
  const isOfRealm = scan.arrayDepth === 3
  scan.position = isOfRealm ? 'after users of realm' : 'after array'
  if (isOfRealm) scan.arrayDepth = 1
  return 'end'
}

function endElement(scan: Scan): Step {
  scan.position = 'before element'
  return 'end'
}

function content(scan: Scan): Step {
  if (!isInArray(scan)) return 'outside'
  scan.position = 'in element'
  return 'inside'
}

function isInArray({ position }: Scan): boolean {
  return position === 'before element' || position === 'in element'
}

function isMemberLevel(scan: Scan): boolean {
  return scan.isDocumentObject ? scan.depth === 1 : scan.depth === 2 && hasElementsOfRealms(scan)
}

function hasElementsOfRealms({ isOfRealms, isDocumentObject, isElementObject }: Scan): boolean {
  return isOfRealms && !isDocumentObject && isElementObject
}

function requireEnd({ position, depth }: Scan): void {
  if (position === 'after array' && depth === 0) return
  throw new AppError(
    'refused',
    position === 'before array'
      ? 'The file is neither a JSON array of users nor an object with such an array named "users". For one object per line, use --format ndjson.'
      : 'The file ends in the middle of its JSON. Nothing was imported.',
  )
}

/** Two concatenated documents, or a repeated member: reading only a part would go unnoticed. */
function moreAfterUsers(): AppError {
  return new AppError(
    'refused',
    'The file has more JSON after its users. Import one document at a time. Nothing was imported.',
  )
}
