import { joined, member, object, present, text } from './fields.ts'
import type { Fields } from './importedUser.ts'

/** Fields that Django's own user classes have. A dump has every field of a model. */
const userFields = ['last_login', 'is_superuser', 'is_staff', 'user_permissions']

/**
 * Reads the rows of `manage.py dumpdata` (`{"model", "pk", "fields"}`); undefined for a row that is
 * not a user: a dump may have other models with a username and a password. The first model of users
 * is the only one. Groups do not become roles, and `is_superuser` only on request.
 */
export function djangoUsers(superusersAreAdministrators: boolean): (row: Fields) => Fields | undefined {
  let userModel: string | undefined
  return (row) => {
    const [model, fields] = [text(row, 'model')?.toLowerCase() ?? '', object(member(row, 'fields'))]
    if (!fields || !text(fields, 'password')) return undefined
    if (model !== 'auth.user' && (userModel ?? model) !== model) return undefined
    if (!isUserModel(model, fields)) return undefined
    userModel = model
    const user = djangoUser(text(row, 'pk'), fields)
    return superusersAreAdministrators && fields.is_superuser === true ? { ...user, roles: ['admin'] } : user
  }
}

function isUserModel(model: string, fields: Fields): boolean {
  const name = model.slice(model.lastIndexOf('.') + 1)
  return /^(?:custom|app|site|base|my)?_?user$/.test(name) || userFields.some((field) => Object.hasOwn(fields, field))
}

/** A UUID is kept as the ID, so that references to it stay valid; an integer key is dropped. */
function djangoUser(id: string | undefined, fields: Fields): Fields {
  return present({
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
