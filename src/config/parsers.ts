import { fullNameRule, isFullName, isUsername, usernameRule } from '../userFields.ts'

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
  if (/^(auto|[1-9]\d?|1\d\d|2[0-4]\d|25[0-6])$/.test(text)) return text === 'auto' ? text : Number(text)
  throw new Error('must be auto or a whole number from 1 to 256')
}

export function oneOf<const T extends string>(words: readonly T[]): (text: string) => T {
  return (text) => {
    const word = words.find((candidate) => candidate === text)
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

export function parseAdminPassword(text: string): string {
  if ([...text].length > 1024 || !text.isWellFormed() || text.includes('\0'))
    throw new Error('must be at most 1,024 characters, without NUL')
  return text
}

export function parseFullName(text: string): string {
  if (!isFullName(text)) throw new Error(fullNameRule)
  return text
}
