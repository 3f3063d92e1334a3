import commonFile from '../../../dist/passwords/common.txt.zst' with { type: 'file' }
import { AppError } from '../../error.ts'
import { normalizePassword } from './normalize.ts'

export interface PasswordChoice {
  readonly password: string
  readonly username: string
}

const longest = 1024

/**
 * Throws `invalid_fields`, naming the rule, unless a new password may be used: long enough, not the user's name, not among
 * the commonest. There are no rules of composition (NIST SP 800-63B §3.1.1.2). `field` is its name in the request.
 */
export async function requireGoodPassword(
  { password, username }: PasswordChoice,
  minLength: number,
  field: string,
): Promise<void> {
  const fault = await faultOf(normalizePassword(password), username, minLength)
  if (fault) throw new AppError('invalid_fields', `The new password ${fault}.`, { fields: [{ field, message: fault }] })
}

async function faultOf(password: string, username: string, minLength: number): Promise<string | undefined> {
  const length = [...password].length
  if (length < minLength) return `must have at least ${minLength} characters (got ${length})`
  if (length > longest) return `must have at most ${longest} characters`
  const stems = stemsOf(password.toLowerCase())
  if (stems.includes(username.toLowerCase()))
    return 'must not be the username, or the username followed by a few characters'
  const common = await commonPasswords()
  if (stems.some((stem) => common.has(stem)))
    return 'must not be a common password, or a common password followed by a few characters'
  return undefined
}

const longestTail = 4

/** The password, and what is left of it without one to four digits or signs at its end: so common ones are made to fit a rule. */
function stemsOf(password: string): string[] {
  const stems = [password]
  let rest = password
  while (stems.length <= longestTail && /[^\p{L}]$/u.test(rest)) {
    rest = [...rest].slice(0, -1).join('')
    stems.push(rest)
  }
  return stems
}

let loading: Promise<ReadonlySet<string>> | undefined

/** 49,233 passwords, unpacked when the first one is chosen. */
function commonPasswords(): Promise<ReadonlySet<string>> {
  loading ??= loadCommonPasswords()
  return loading
}

async function loadCommonPasswords(): Promise<ReadonlySet<string>> {
  const packed = await Bun.file(commonFile).bytes()
  return new Set(Bun.zstdDecompressSync(packed).toString().split('\n'))
}
