import commonFile from '../../../dist/passwords/common.txt.zst' with { type: 'file' }
import { AppError } from '../../error.ts'
import { normalizePassword } from './normalize.ts'

export interface PasswordChoice {
  readonly password: string
  readonly username: string
}

/** In code points. */
export const maxPasswordLength = 1024

/**
 * Throws `invalid_fields` with the broken rule unless a new password is acceptable. `field` is the
 * password's name in the request.
 */
export async function requireAcceptablePassword(
  choice: PasswordChoice,
  minLength: number,
  field: string,
): Promise<void> {
  const message = await findPolicyViolation(choice, minLength)
  if (message) throw new AppError('invalid_fields', `The new password ${message}.`, { fields: [{ field, message }] })
}

/**
 * Returns the broken rule unless a new password is long enough, has no control characters, is not
 * the username and is not common. There are no composition rules (NIST SP 800-63B §3.1.1.2).
 */
export async function findPolicyViolation(
  { password: text, username }: PasswordChoice,
  minLength: number,
): Promise<string | undefined> {
  // A line break or tab comes from a file or a paste, and no form lets people type it (RFC 8265).
  if (/\p{Cc}/u.test(text)) return 'must not contain line breaks, tabs or other control characters'
  const password = normalizePassword(text)
  const { length } = [...password]
  if (length < minLength) return `must have at least ${minLength} characters (got ${length})`
  if (length > maxPasswordLength) return `must have at most ${maxPasswordLength} characters`
  const variants = variantsOf(password.toLowerCase())
  if (variants.includes(username.toLowerCase()))
    return 'must not be the username, or the username followed by a few characters'
  const common = await commonPasswords()
  if (variants.some((variant) => common.has(variant)))
    return 'must not be a common password, or a common password followed by a few characters'
  return undefined
}

const maximumSuffix = 4

/**
 * Returns the password, and it without its last one to four digits or symbols: the usual way to
 * satisfy a length rule.
 */
function variantsOf(password: string): string[] {
  const variants = [password]
  let variant = password
  while (variants.length <= maximumSuffix && /[^\p{L}]$/u.test(variant)) {
    variant = [...variant].slice(0, -1).join('')
    variants.push(variant)
  }
  return variants
}

let loading: Promise<ReadonlySet<string>> | undefined

/** 49,233 passwords, decompressed on first use. */
function commonPasswords(): Promise<ReadonlySet<string>> {
  loading ??= loadCommonPasswords()
  return loading
}

async function loadCommonPasswords(): Promise<ReadonlySet<string>> {
  const compressed = await Bun.file(commonFile).bytes()
  return new Set(Bun.zstdDecompressSync(compressed).toString().split('\n'))
}
