import type { Fields } from './importedUser.ts'

// Reads values of unchecked JSON, in which any member may be missing or have any type.

/** Returns an own member; undefined if it is absent or null. */
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

/** Converts milliseconds since the epoch, a number or digits, to ISO 8601. */
export function timeOfMilliseconds(value: unknown): string | undefined {
  const date = new Date(Number(value ?? Number.NaN))
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString()
}

/** Joins the parts of a name that are present with spaces. */
export function joined(...parts: readonly (string | undefined)[]): string | undefined {
  return parts.filter((part) => part !== undefined).join(' ') || undefined
}

/** Returns the fields without undefined members. */
export function present(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}
