import type { Fields } from './importedUser.ts'

// Reading what another program wrote: nothing is certain of it, not even that an object is one.

/** A member, if it is there and its own; null counts as not there. */
export function member(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? (fields[name] ?? undefined) : undefined
}

export function text(fields: Fields, name: string): string | undefined {
  const value = member(fields, name)
  return typeof value === 'string' && value !== '' ? value : undefined
}

export function object(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined
}

export function list(fields: Fields, name: string): readonly unknown[] {
  const value = member(fields, name)
  return Array.isArray(value) ? value : []
}

/** Milliseconds since the epoch, as a number or in digits, as ISO 8601. */
export function timeOfMilliseconds(value: unknown): string | undefined {
  const date = new Date(Number(value ?? Number.NaN))
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString()
}

/** What there is of a name's parts, with a space between. */
export function joined(...parts: readonly (string | undefined)[]): string | undefined {
  return parts.filter((part) => part !== undefined).join(' ') || undefined
}

/** Without the members that are undefined. */
export function present(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}
