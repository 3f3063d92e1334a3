import { t } from 'elysia'

export const UserSchema = t.Object({
  id: t.String({ format: 'uuid' }),
  username: t.String(),
  full_name: t.String(),
  is_active: t.Boolean(),
  roles: t.Array(t.String()),
  must_change_password: t.Boolean(),
  created_at: t.String({ format: 'date-time' }),
})

export const userExample: typeof UserSchema.static = {
  id: '2f1d9c0a-6f6e-4b0f-9f57-0d4f6a1f8a52',
  username: 'ada',
  full_name: 'Ada Lovelace',
  is_active: true,
  roles: ['billing'],
  must_change_password: true,
  created_at: '2026-01-31T08:00:00.000Z',
}
