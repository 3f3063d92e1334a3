import { customType } from 'drizzle-orm/pg-core'

/** A column of type text[] without NULL elements. Drizzle's own arrays lose backslashes. */
export const textArray = customType<{ data: string[]; driverData: string }>({
  dataType: () => 'text[]',
  fromDriver: parseTextArray,
  toDriver: (values) => `{${values.map((value) => `"${value.replace(/["\\]/g, '\\$&')}"`).join()}}`,
})

/** Parses an array literal of PostgreSQL with one dimension. Leaves out NULL elements. */
export function parseTextArray(literal: string): string[] {
  const body = literal.slice(literal.indexOf('{') + 1, -1)
  return [...body.matchAll(/"((?:[^"\\]|\\.)*)"|([^",]+)/gs)].flatMap(([, quoted, plain]) => {
    if (quoted !== undefined) return [quoted.replace(/\\(.)/gs, '$1')]
    return plain === undefined || plain === 'NULL' ? [] : [plain]
  })
}
