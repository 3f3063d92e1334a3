import { joined, member, object, present, text } from './fields.ts'
import type { Fields } from './importedUser.ts'

/**
 * Reads a row of `manage.py dumpdata` (`{"model", "pk", "fields"}`); undefined for a row without a password. Groups and
 * `is_superuser` do not become roles: a Django administrator need not be one here.
 */
export function djangoUser(row: Fields): Fields | undefined {
  const fields = object(member(row, 'fields'))
  if (!fields || !text(fields, 'password')) return undefined
  const id = text(row, 'pk')
  return present({
    // A UUID is kept, so that references to it stay valid; an integer key is dropped.
    id,
    username: text(fields, 'username') ?? text(fields, 'email'),
    full_name:
      joined(text(fields, 'first_name'), text(fields, 'last_name')) ??
      text(fields, 'full_name') ??
      text(fields, 'name'),
    hashed_password: text(fields, 'password'),
    // Null differs from absent: see `activeValueOf`.
    is_active: fields.is_active,
    created_at: text(fields, 'date_joined'),
  })
}
