import type { TString } from '@sinclair/typebox'
import { t } from 'elysia'
import { presentSession } from '../../domain/presentation.ts'
import type { ListedSession } from '../../domain/sessions/sessions.ts'
import { constrained, named, uuid } from '../schema.ts'

const nullable = (text: TString) => t.Union([text, t.Null()])

export const ListedSessionSchema = named(
  'Session',
  t.Object({
    id: uuid(),
    created_at: t.String({ format: 'date-time' }),
    last_used_at: t.String({ format: 'date-time' }),
    expires_at: t.String({ format: 'date-time' }),
    address: nullable(t.String({ description: 'The client address at login.' })),
    user_agent: nullable(
      constrained(t.String({ description: 'The first 256 characters of the `User-Agent` header at login.' }), {
        maxLength: 256,
      }),
    ),
    kind: t.Optional(t.Literal('browser', { description: 'Only if the credential is a cookie.' })),
    stay: t.Optional(t.Boolean({ description: 'With `kind`: whether the cookie outlives the browser.' })),
    current: t.Boolean({ description: 'True for the session of this request.' }),
  }),
)

export const SessionListSchema = t.Object({ items: t.Array(ListedSessionSchema), next: t.Null() })

export const sessionExample: typeof ListedSessionSchema.static = {
  id: 'b6723ce5-e26e-4364-a188-ca267d10ce0e',
  created_at: '2026-01-31T08:00:00.000Z',
  last_used_at: '2026-01-31T09:30:00.000Z',
  expires_at: '2026-02-14T09:30:00.000Z',
  address: '198.51.100.7',
  user_agent: 'Mozilla/5.0',
  current: true,
}

export function toSession(session: ListedSession, currentId: string | undefined): typeof ListedSessionSchema.static {
  return { ...presentSession(session), current: session.id === currentId }
}
