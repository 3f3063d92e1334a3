import { t } from 'elysia'
import { maxRoles, rolePattern } from '../../userFields.ts'
import { constrained, named, uuid } from '../schema.ts'

const role = constrained(t.String(), { pattern: rolePattern, minLength: 1, maxLength: 32 })

/** Up to 32 roles. */
export const rolesSchema = (description: string) => constrained(t.Array(role, { description }), { maxItems: maxRoles })

export const UserSchema = named(
  'User',
  t.Object({
    id: uuid(),
    username: t.String({
      description: '1 to 50 of the characters A-Z a-z 0-9 . _ @ + -. An adopted username can be any text.',
    }),
    full_name: t.String({ description: '1 to 100 characters on one line. An adopted full name can be any text.' }),
    is_active: t.Boolean(),
    roles: t.Array(t.String()),
    must_change_password: t.Boolean(),
    created_at: t.String({ format: 'date-time' }),
  }),
)

export const userExample: typeof UserSchema.static = {
  id: '2f1d9c0a-6f6e-4b0f-9f57-0d4f6a1f8a52',
  username: 'ada',
  full_name: 'Ada Lovelace',
  is_active: true,
  roles: ['billing'],
  must_change_password: true,
  created_at: '2026-01-31T08:00:00.000Z',
}
