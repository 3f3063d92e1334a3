import { joined, member, object, present, text } from './fields.ts'
import type { Fields } from './importedUser.ts'

/**
 * A row of `manage.py dumpdata auth.user`, or of a model of the project's own (`{"model", "pk", "fields"}`). Of groups and of
 * `is_superuser` no role is made: whoever administers Django need not administer here.
 */
export function djangoUser(row: Fields): Fields | undefined {
  const fields = object(member(row, 'fields'))
  if (!fields || !text(fields, 'password')) return undefined
  const id = text(row, 'pk')
  return present({
    // A number is no key of ours; a UUID stays, so that what refers to it goes on doing so.
    id,
    username: text(fields, 'username') ?? text(fields, 'email'),
    full_name:
      joined(text(fields, 'first_name'), text(fields, 'last_name')) ??
      text(fields, 'full_name') ??
      text(fields, 'name'),
    hashed_password: text(fields, 'password'),
    // Null is not the same as not there: see `readUser`.
    is_active: fields.is_active,
    created_at: text(fields, 'date_joined'),
  })
}
