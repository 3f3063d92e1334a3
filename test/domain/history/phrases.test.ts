import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PresentedEvent, PresentedParty } from '../../../src/domain/audit/presentEvent.ts'
import { phraseOf } from '../../../src/domain/history/phrases.ts'

const nothing = { id: null, username: null, full_name: null, address: null, user_agent: null, erased: false }
const ada: PresentedParty = { ...nothing, kind: 'user', id: 'ada-id', username: 'ada', address: '192.0.2.7' }
const carol: PresentedParty = { ...nothing, kind: 'user', id: 'carol-id', username: 'carol' }
const command: PresentedParty = { ...nothing, kind: 'command' }
const anonymous: PresentedParty = { ...nothing, kind: 'anonymous', address: '203.0.113.5' }

function phrase(type: string, event: Partial<PresentedEvent>): string {
  const common = { index: 1, time: '', outcome: 'done', by: ada, about: ada, session: null, request: null, facts: {} }
  return phraseOf({ ...common, type, ...event }, 'ada-id')
}

describe('the history of a user in plain words', () => {
  test.each([
    ['login.succeeded', {}, 'signed in from 192.0.2.7'],
    [
      'login.failed',
      { by: anonymous, facts: { reason: 'wrong_password' } },
      'sign-in failed (wrong password) from 203.0.113.5',
    ],
    ['logout', { facts: { ended: 3 } }, 'signed out of 3 sessions from 192.0.2.7'],
    [
      'user.roles_changed',
      { by: carol, facts: { roles: ['admin', 'billing'] } },
      'roles changed to admin, billing by carol',
    ],
    ['user.roles_changed', { by: command, facts: { roles: [] } }, 'roles removed by the command line'],
    ['user.changed', { by: command, facts: { fields: ['full_name'] } }, 'user changed: full_name by the command line'],
    ['user.disabled', { about: carol }, 'user disabled (carol) from 192.0.2.7'],
    ['sessions.ended', { by: carol, facts: { ended: 1 } }, '1 session ended by carol'],
    [
      'user.deleted',
      { by: { ...nothing, kind: 'api_key', id: 'key-id' }, about: { ...carol, username: null } },
      'user deleted (a user carol-id) by API key key-id',
    ],
    ['api_key.created', { facts: { service: 'reports' } }, 'API key created for reports from 192.0.2.7'],
    ['of.the_future', {}, 'of.the_future from 192.0.2.7'],
    ['toString', {}, 'toString from 192.0.2.7'],
  ])('says %s', (type, event, text) => {
    expect(phrase(type, event)).toBe(text)
  })

  test('has words for every event of the documentation', () => {
    const page = readFileSync(join(import.meta.dir, '../../../docs/operations.md'), 'utf8')
    const section = page.split('\n### Audit events\n')[1]?.split('\n## ')[0] ?? ''
    const types = [...section.matchAll(/^\| `([a-z_.]+)` \|/gm)].map(([, type = '']) => type)
    expect(types.length).toBeGreaterThan(30)
    for (const type of types) {
      expect(phrase(type, { by: anonymous })).not.toContain(type)
      expect(phrase(type, { by: anonymous, facts: { ended: {}, roles: 'x', reason: [], fields: [1] } })).toBeString()
    }
  })
})
