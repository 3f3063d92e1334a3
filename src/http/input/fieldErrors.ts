import { AppError, type FieldError, sentencesOf } from '../../error.ts'
import { limitPattern } from './page.ts'

/** An error of Elysia's validation. `schema` is the rule of the field. */
export interface SchemaError {
  readonly path?: string
  readonly value?: unknown
  readonly schema?: FieldSchema
}

interface FieldSchema {
  readonly type?: string
  readonly const?: unknown
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly items?: FieldSchema
  readonly anyOf?: readonly FieldSchema[]
}

/**
 * Returns the error for a body or query that does not fit its schema. Names each field and its
 * rule, never a value.
 */
export function invalidFields(code: 'invalid_request' | 'invalid_fields', errors: readonly SchemaError[]): AppError {
  const byField = new Map(errors.map((error) => [fieldOf(error), error] as const).reverse())
  const fields: FieldError[] = [...byField].reverse().map(([field, error]) => ({ field, message: ruleOf(error) }))
  return new AppError(code, sentencesOf(fields), { fields })
}

const patternRules: Readonly<Record<string, string>> = { [limitPattern]: 'must be a whole number from 1 to 100' }

/**
 * An entry of a list counts as the list. Names of fields are those of the schema, not of the input.
 */
function fieldOf({ path = '' }: SchemaError): string {
  return path
    .slice(1)
    .split('/')
    .filter((part) => !/^\d+$/.test(part))
    .join('.')
}

function ruleOf({ path = '', value, schema = {} }: SchemaError): string {
  if (value === undefined) return 'is missing'
  if (/\/\d+$/.test(path)) return 'must contain only strings'
  const { type, anyOf, minLength, maxLength } = schema
  if (anyOf) return `must be ${anyOf.map(nameOf).join(' or ')}`
  if (type === 'string' && typeof value === 'string') {
    if (minLength === 1 && value === '') return 'must not be empty'
    if (maxLength !== undefined && value.length > maxLength) return `must have at most ${maxLength} characters`
    return patternRules[schema.pattern ?? ''] ?? 'has an invalid format'
  }
  return `must be ${nameOf(schema)}`
}

function nameOf({ type, const: constant }: FieldSchema): string {
  if (constant !== undefined) return String(constant)
  return type === undefined ? 'of another type' : (typeNames[type] ?? type)
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'a string',
  boolean: 'true or false',
  array: 'a list of strings',
  object: 'a JSON object',
}
