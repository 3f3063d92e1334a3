import type { TObject, TSchema } from '@sinclair/typebox'
import { t } from 'elysia'

/** The constraints of JSON Schema that clients and generators use. */
interface Constraints {
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly minimum?: number
}

/** A symbol, so that TypeBox ignores it: it counts UTF-16 units, and its messages name no rule. */
const constraintsKey = Symbol('constraints')

/**
 * Returns the schema with constraints for the document only. The domain checks them in requests,
 * with better messages; in responses they describe what the server writes.
 */
export function constrained<Schema extends TSchema>(schema: Schema, constraints: Constraints): Schema {
  return { ...schema, [constraintsKey]: constraints }
}

/** Returns an object that the document lists in its components under this name. */
export function named<Schema extends TObject>(name: string, schema: Schema): Schema {
  return { ...schema, title: name }
}

/** A UUID as the server writes it. */
export const uuid = (description?: string) =>
  constrained(t.String({ format: 'uuid', ...(description === undefined ? {} : { description }) }), {
    pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$',
    minLength: 36,
    maxLength: 36,
  })

interface Node {
  readonly title?: string
  readonly properties?: Readonly<Record<string, Node>>
  readonly items?: Node
  readonly anyOf?: readonly Node[]
  readonly [constraintsKey]?: Constraints
}

/**
 * Returns a schema as the document shows it: with its constraints, and named ones as references.
 */
export function documented(schema: TSchema | object): object {
  const { title } = schema as Node
  return title === undefined ? component(schema) : { $ref: `#/components/schemas/${title}` }
}

/** Returns a schema without replacing itself by a reference. */
export function component(schema: TSchema | object): object {
  const { properties, items, anyOf, [constraintsKey]: constraints, ...rest } = schema as Node
  return {
    ...rest,
    ...constraints,
    ...(anyOf ? { anyOf: anyOf.map(documented) } : {}),
    ...(items ? { items: documented(items) } : {}),
    ...(properties ? { properties: mapValues(properties, documented) } : {}),
  }
}

/** Returns the object with each value replaced. */
export function mapValues<Value, Mapped>(
  values: Readonly<Record<string, Value>>,
  map: (value: Value) => Mapped,
): Record<string, Mapped> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]))
}
