import { AppError, type FieldError, sentencesOf } from '../../error.ts'
import { areRoles, fullNameRule, isFullName, isUsername, rolesRule, usernameRule } from '../../userFields.ts'

interface UserFields {
  readonly username?: string
  readonly full_name?: string
  readonly roles?: readonly string[]
}

/** Throws `invalid_fields` with every invalid field. */
export function requireValidFields(draft: UserFields): void {
  const fields = [...validationErrorsOf(draft)]
  if (fields.length > 0) throw new AppError('invalid_fields', sentencesOf(fields), { fields })
}

/** Yields every invalid field. The rules are the same for HTTP, command line and import. */
export function* validationErrorsOf(draft: UserFields): Generator<FieldError> {
  if (draft.username !== undefined && !isUsername(draft.username)) {
    yield { field: 'username', message: usernameRule }
  }
  if (draft.full_name !== undefined && !isFullName(draft.full_name)) {
    yield { field: 'full_name', message: fullNameRule }
  }
  if (draft.roles && !areRoles(draft.roles)) {
    yield { field: 'roles', message: rolesRule }
  }
}
