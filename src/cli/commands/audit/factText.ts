/** Returns the value of a fact for a person to read. */
export function factText(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(factText).join(',')
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
}
