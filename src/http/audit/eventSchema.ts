import { Type } from '@sinclair/typebox'
import { t } from 'elysia'
import { constrained, named } from '../schema.ts'

const nullable = (description?: string) =>
  t.Union([t.String(description === undefined ? {} : { description }), t.Null()])

const Party = named(
  'Party',
  t.Object({
    kind: t.String({ description: '`user`, `api_key`, `command`, `system` or `anonymous`.' }),
    id: nullable('The id of the user or the API key.'),
    username: nullable('The username at that time.'),
    full_name: nullable(),
    address: nullable('The client of the request.'),
    user_agent: nullable(),
    erased: t.Boolean({ description: 'Whether the names and addresses were erased.' }),
  }),
)

const members = {
  time: t.String({ format: 'date-time', description: 'When it happened. Records are not sorted by it.' }),
  type: t.String({ description: 'The type of the event, such as `login.failed`.' }),
  outcome: t.String({ description: '`done` or `refused`.' }),
  by: Party,
  about: t.Union([Party, t.Null()], { description: 'The user or API key that it concerns.' }),
  session: nullable('The session of the actor.'),
  request: nullable('The `X-Request-Id` of the request.'),
  facts: t.Record(t.String(), t.Unknown(), { description: 'What else is known, by type.' }),
}

export const AuditEventSchema = named(
  'AuditEvent',
  t.Object({ index: constrained(Type.Integer({ description: 'The place in the log.' }), { minimum: 0 }), ...members }),
)
export const ActivitySchema = named('Activity', t.Object(members))
export { Party as PartySchema }

const nothing = { id: null, username: null, full_name: null, address: null, user_agent: null, erased: false }
export const eventExample: typeof AuditEventSchema.static = {
  index: 42,
  time: '2026-01-31T08:00:00.000Z',
  type: 'user.disabled',
  outcome: 'done',
  by: {
    kind: 'user',
    id: '9d8a0a52-39a4-4cf2-9b52-4a1d0f1c2e77',
    username: 'carol',
    full_name: 'Carol Shaw',
    address: '198.51.100.7',
    user_agent: 'Mozilla/5.0',
    erased: false,
  },
  about: { ...nothing, kind: 'user', id: '2f1d9c0a-6f6e-4b0f-9f57-0d4f6a1f8a52', username: 'ada' },
  session: 'b6723ce5-e26e-4364-a188-ca267d10ce0e',
  request: '51773a8f-7a1e-4a57-9f5e-0a4a3a0f6c11',
  facts: { fields: ['is_active'], roles: ['billing'], is_active: false },
}

const { index: _, ...seen } = eventExample
export const activityExample: typeof ActivitySchema.static = {
  ...seen,
  by: { ...nothing, kind: 'user', username: 'carol' },
  session: null,
  request: null,
}
