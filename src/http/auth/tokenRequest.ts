import { AppError } from '../../error.ts'
import { optionalField } from '../input/form.ts'

/** Fields that OAuth client libraries send. Our clients are public, so these have no effect. */
export const ignoredClientFields = {
  client_id: optionalField('Accepted and ignored.'),
  client_secret: optionalField('Accepted and ignored.'),
}

/** Throws `unsupported_grant_type` unless the grant type is omitted or a supported one. */
export function requireGrantType(grantType: string | undefined, supported: readonly string[]): void {
  if (grantType === undefined || supported.includes(grantType)) return
  const names = supported.map((name) => `"${name}"`).join(' or ')
  throw new AppError('unsupported_grant_type', `The grant_type of this endpoint must be ${names}.`)
}

/** Returns a field. Throws `invalid_request` if it is missing (RFC 6749 §5.2). */
export function requireField<Name extends string>(form: { readonly [N in Name]?: string }, field: Name): string {
  const value = form[field]
  if (value !== undefined) return value
  throw new AppError('invalid_request', `The field ${field} is missing.`, {
    fields: [{ field, message: 'is missing' }],
  })
}
