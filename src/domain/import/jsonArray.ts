import { AppError } from '../../error.ts'

/** How a byte relates to the current record: part of it, between records, or the separator that ends it. */
type Step = 'inside' | 'outside' | 'end'

export interface Scanner {
  /** `size` is the number of bytes of the current record so far. Throws `refused` if the file must have ended before. */
  step(byte: number, size: number): Step
  /** Throws `refused` if the file must not end here. */
  end(): void
}

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c]
const [braceOpen, braceClose, bracketOpen, bracketClose] = [0x7b, 0x7d, 0x5b, 0x5d]
const lastWhitespace = 0x20

/** Where the scanner is relative to the array of users. */
type Position = 'before array' | 'before element' | 'in element' | 'after array'

/** Where the scanner is relative to strings. */
type StringState = 'outside' | 'inside' | 'after backslash'

/** Scans the elements of the only array of users: the document itself, or the member `users` of the document. */
export function arrayElements(): Scanner {
  let position: Position = 'before array'
  let string: StringState = 'outside'
  let depth = 0
  let arrayDepth = 0
  let isDocumentObject = false
  /** The last string directly inside the document object, as far as needed to recognize `users`. */
  let memberName = ''

  const step = (byte: number): Step => {
    if (position === 'after array' && depth === 0 && byte > lastWhitespace) throw moreAfterUsers()
    if (string !== 'outside') return stepInString(byte)
    switch (byte) {
      case quote:
        string = 'inside'
        if (isMemberLevel()) memberName = ''
        return content()
      case braceOpen:
      case bracketOpen:
        return open(byte)
      case braceClose:
      case bracketClose:
        return close()
      case comma:
        return isInArray() && depth === arrayDepth ? endElement() : content()
    }
    return byte <= lastWhitespace && position !== 'in element' ? 'outside' : content()
  }

  function stepInString(byte: number): Step {
    if (string === 'after backslash') string = 'inside'
    else if (byte === backslash) string = 'after backslash'
    else if (byte === quote) string = 'outside'
    if (string !== 'outside' && isMemberLevel() && memberName.length < 8) memberName += String.fromCharCode(byte)
    return content()
  }

  function open(byte: number): Step {
    const step = content()
    if (depth++ === 0) isDocumentObject = byte === braceOpen
    const isUsers = byte === bracketOpen && (isDocumentObject ? depth === 2 && memberName === 'users' : depth === 1)
    if (!isUsers) return step
    if (position === 'after array') throw moreAfterUsers()
    position = 'before element'
    arrayDepth = depth
    return 'outside'
  }

  function close(): Step {
    depth--
    if (!isInArray() || depth >= arrayDepth) return content()
    position = 'after array'
    return 'end'
  }

  function endElement(): Step {
    position = 'before element'
    return 'end'
  }

  function content(): Step {
    if (!isInArray()) return 'outside'
    position = 'in element'
    return 'inside'
  }

  const isInArray = () => position === 'before element' || position === 'in element'
  const isMemberLevel = () => isDocumentObject && depth === 1

  const end = () => {
    if (position === 'after array' && depth === 0) return
    throw new AppError(
      'refused',
      position === 'before array'
        ? 'The file is neither a JSON array of users nor an object with such an array named "users". For one object per line, use --format ndjson.'
        : 'The file ends in the middle of its JSON. Nothing was imported.',
    )
  }
  return { step, end }
}

/** Two concatenated documents, or a repeated member: reading only a part would go unnoticed. */
function moreAfterUsers(): AppError {
  return new AppError(
    'refused',
    'The file has more JSON after its users. Import one document at a time. Nothing was imported.',
  )
}
