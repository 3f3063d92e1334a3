import { AppError } from '../error.ts'
import type { DriverError } from './advice.ts'
import { databaseFailure, driverError } from './failure.ts'

/** The reason of an error for a violated unique constraint, whose columns are unknown here. */
export const uniqueViolation = 'unique_violation'

/**
 * Runs a change of `users`. An application may have rules for that table: constraints, triggers,
 * tables that refer to it. If one rejects the change, throws `conflict` or `invalid_fields`, which
 * name constraints and columns, never values. Otherwise throws what `guarded` throws.
 */
export async function guardedChange<T>(change: 'store' | 'delete', operation: () => PromiseLike<T>): Promise<T> {
  try {
    return await operation()
  } catch (error) {
    throw rejectionOf(error, change) ?? databaseFailure(error)
  }
}

/** An INSERT, UPDATE or DELETE that affects no row although it should. */
export function discarded(): AppError {
  return new AppError('conflict', 'The database discarded the change. Check the triggers and rules of the table users.')
}

/** Returns undefined if the error is not one of these rules. */
export function rejectionOf(error: unknown, change: 'store' | 'delete'): AppError | undefined {
  const known = error instanceof AppError ? undefined : driverError(error)
  // Resources, connections, transactions and damage. What a trigger raises may have any code.
  if (known === undefined || /^(08|25|40|53|55|57|58|XX)/.test(known.code)) return undefined
  return violationOf(known, change) ?? triggerFailureOf(known)
}

function violationOf(known: DriverError, change: 'store' | 'delete'): AppError | undefined {
  const { code } = known
  const { column, constraint, table } = namesOf(known)
  const detail = (constraint ?? table) === undefined ? code : [constraint, table].filter(Boolean).join(' of ')
  switch (code) {
    case '23505':
      return new AppError('conflict', `The database already has these values, which must be unique (${detail}).`, {
        reason: uniqueViolation,
      })
    case '23P01':
      return new AppError('conflict', `The values conflict with those of another row in the database (${detail}).`)
    case '23503':
    case '23001':
      return new AppError(
        'conflict',
        change === 'delete'
          ? `Other tables refer to this user; disable the user instead (${detail}).`
          : `The database rejected the change, which refers to a row that does not exist (${detail}).`,
      )
    case '23502':
      return invalid(
        column,
        `The database requires a value in ${column === undefined ? 'a column' : `the column ${column}`}${table === undefined ? '' : ` of the table ${table}`} (23502). Give the column a default, or allow NULL.`,
        'requires a value that AuditTrail does not set',
      )
    case '23514':
    case '44000':
      return invalid(
        constraint,
        `The database rejected the values, which violate a constraint (${detail}).`,
        'is violated',
      )
    case '22001':
      return invalid(undefined, 'A value is too long for its column in the database (22001).', '')
    default:
      return /^23/.test(code) ? new AppError('conflict', `The database rejected the change (${code}).`) : undefined
  }
}

function invalid(field: string | undefined, text: string, message: string): AppError {
  return new AppError('invalid_fields', text, field === undefined ? {} : { fields: [{ field, message }] })
}

/** What RAISE names is as unknown as its message, which may have values. */
function namesOf(known: DriverError): { column?: string; constraint?: string; table?: string } {
  const { column_name: column, constraint_name: constraint, table_name: table } = known
  return isRaised(known)
    ? {}
    : {
        ...(column === undefined ? {} : { column }),
        ...(constraint === undefined ? {} : { constraint }),
        ...(table === undefined ? {} : { table }),
      }
}

function isRaised({ routine }: DriverError): boolean {
  return routine === 'exec_stmt_raise'
}

function triggerFailureOf(known: DriverError): AppError | undefined {
  const { code, where = '' } = known
  if (isRaised(known) || /^P0/.test(code))
    return new AppError('conflict', `A trigger of the database rejected the change (${code}).`)
  if (/^3[89]/.test(code) || /\bfunction\b/.test(where))
    return new AppError('conflict', `A trigger of the database fails (${code}). Correct or drop it.`)
  return /^22/.test(code)
    ? new AppError('invalid_fields', `The database does not accept a value (${code}).`)
    : undefined
}
