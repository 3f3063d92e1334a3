import { fullNameRule, isFullName, isUsername, usernameRule } from '../userFields.ts'

/** `parse` throws an Error whose message completes "PORT …", such as "must be a whole number". */
export interface Setting<T> {
  readonly env: string
  /** One or more sentences for the help, `.env.example` and the reference page. */
  readonly doc: string
  /** As written in the environment. Undefined: the setting is unset by default. */
  readonly default: string | undefined
  readonly parse: (text: string) => T
  /** Never printed. Can also be read from a file named by the variable with `_FILE` appended. */
  readonly secret?: true
  /** An empty value is kept. In other settings it means unset, as in compose files. */
  readonly emptyMeans?: 'empty'
}

export const required = <T>(setting: Setting<T> & { default: string }): Setting<T> => setting
export const optional = <T>(setting: Omit<Setting<T>, 'default'>): Setting<T | undefined> => ({
  ...setting,
  default: undefined,
})

// Parsers of single settings. Each throws an Error whose message completes "PORT …".

export function wholeNumber(from: number, to: number): (text: string) => number {
  return (text) => {
    if (!/^\d{1,9}$/.test(text) || Number(text) < from || Number(text) > to) {
      throw new Error(`must be a whole number from ${from} to ${to}`)
    }
    return Number(text)
  }
}

export function parsePasswordConcurrency(text: string): number | 'auto' {
  if (text.toLowerCase() === 'auto') return 'auto'
  if (/^([1-9]\d?|1\d\d|2[0-4]\d|25[0-6])$/.test(text)) return Number(text)
  throw new Error('must be auto or a whole number from 1 to 256')
}

/** Other words for `off` and `on`, as other programs and YAML write them. */
const switches = { off: ['off', 'false', 'no', '0', 'disabled'], on: ['on', 'true', 'yes', '1', 'enabled'] }

/** Returns whether the text means `off`, in any case. */
export function isOff(text: string): boolean {
  return switches.off.includes(text.toLowerCase())
}

export function parseSwitch(text: string): 'on' | 'off' {
  if (isOff(text)) return 'off'
  if (switches.on.includes(text.toLowerCase())) return 'on'
  throw new Error('must be on or off')
}

/** Accepts a word in any case. `synonyms` maps what is also accepted to the word. */
export function oneOf<const T extends string>(
  words: readonly T[],
  synonyms: Readonly<Record<string, T>> = {},
): (text: string) => T {
  return (text) => {
    const wanted = text.toLowerCase()
    const word = words.find((candidate) => candidate.toLowerCase() === wanted) ?? synonyms[wanted]
    if (word === undefined) throw new Error(`must be one of ${words.join(', ')}`)
    return word
  }
}

export function parseBasePath(text: string): string {
  const path = text.replace(/\/$/, '')
  if (!/^(\/[A-Za-z0-9._~-]+)*$/.test(path) || /\/\.\.?(\/|$)/.test(path)) {
    throw new Error('must be a path such as /api, or empty for the root')
  }
  return path
}

export function parseClaim(text: string): string {
  if (!/^[\x21-\x7e]{1,255}$/.test(text)) throw new Error('must be 1 to 255 printable ASCII characters without spaces')
  return text
}

export function parseUsername(text: string): string {
  if (!isUsername(text)) throw new Error(usernameRule)
  return text
}

/**
 * Accepts what the password policy rejects: such a password must be changed at the first sign-in.
 */
export function parseAdminPassword(text: string): string {
  if ([...text].length > 1024 || !text.isWellFormed() || /\p{Cc}/u.test(text))
    throw new Error('must be at most 1,024 characters, without line breaks, tabs or other control characters')
  return text
}

export function parseDirectory(text: string): string {
  if (/\p{Cc}/u.test(text)) throw new Error('must be a path without control characters')
  return text
}

export function parseFile(text: string): string {
  if (/\p{Cc}/u.test(text) || text.endsWith('/'))
    throw new Error('must be the path of a file, without control characters')
  return text
}

export function parseFullName(text: string): string {
  if (!isFullName(text)) throw new Error(fullNameRule)
  return text
}

export function parsePageTitle(text: string): string {
  const isPlain = text.isWellFormed() && !/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u.test(text)
  if (!isPlain || text.trim() === '' || [...text].length > 60) throw new Error('must be 1 to 60 characters on one line')
  return text.trim()
}
