import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { differencesOf } from '../../../src/domain/accountStates/state.ts'
import { addUser, type Remembered, remember, signIn } from './remembered.ts'

describe('the repetition of revocations', () => {
  let process: Remembered
  const closing: (() => Promise<void>)[] = []
  const start = async () => {
    process = await remember()
    closing.push(process.close)
  }
  afterAll(async () => {
    for (const close of closing) await close()
  })

  const userOf = async (id: string) =>
    (await process.other`SELECT is_active, roles, hashed_password, must_change_password FROM users WHERE id = ${id}`)[0]

  test('disables a user again whose roles changed since', async () => {
    await start()
    const id = await addUser(process, 'ada', ['editor'])
    await process.database.users.updateUser(id, { is_active: false })
    await process.database.users.updateUser(id, { roles: [] })
    await process.other`UPDATE users SET is_active = true, roles = '{editor,author}'`
    expect(await process.repeat()).toEqual({ repeated: 2, missing: 0 })
    expect(await userOf(id)).toMatchObject({ is_active: false, roles: [] })
    expect(await process.repeat()).toEqual({ repeated: 2, missing: 0 })
  })

  test('records each change that it makes, in the same transaction', async () => {
    await start()
    const user = { id: await addUser(process, 'ada', ['editor']), hash: 'hash of ada' }
    const other = { id: await addUser(process, 'bob'), hash: 'hash of bob' }
    const session = await signIn(process, other)
    await process.database.sessions.endSession(session, new Date())
    await process.database.users.updateUser(user.id, { is_active: false })
    await process.other`UPDATE users SET is_active = true`
    await process.other`INSERT INTO audittrail_sessions (id, user_id, created_at, last_used_at, expires_at)
      VALUES (${session}, ${other.id}, now(), now(), now() + interval '1 hour')`
    await process.repeat()
    const leaves = async () =>
      (await process.other`SELECT leaf FROM audittrail_audit_pending ORDER BY n`).map(({ leaf }) => JSON.parse(leaf))
    const recorded = [
      { type: 'changes.repeated', by: { kind: 'system' }, facts: { kind: 'session', ids: [session] } },
      {
        type: 'changes.repeated',
        about: { kind: 'user', id: user.id },
        facts: { kind: 'disabling' },
        state: { was: expect.stringMatching(/^1:.{48}$/), is: expect.stringMatching(/^1:.{48}$/) },
      },
    ]
    expect(await leaves()).toMatchObject(recorded)
    const { was, is } = (await leaves())[1].state
    expect(differencesOf(was, is)).toEqual({ roles: false, rest: true })
    await process.repeat()
    expect(await leaves()).toMatchObject(recorded)
  })

  test('makes no change whose event cannot be written', async () => {
    await start()
    const id = await addUser(process, 'ada')
    await process.database.users.updateUser(id, { is_active: false })
    await process.other.unsafe(`UPDATE users SET is_active = true;
      CREATE FUNCTION discard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
      CREATE TRIGGER discard BEFORE INSERT ON audittrail_audit_pending FOR EACH ROW EXECUTE FUNCTION discard()`)
    expect(await process.repeat()).toMatchObject({ repeated: 0 })
    expect(await userOf(id)).toMatchObject({ is_active: true })
  })

  test('leaves a user enabled and with a role that was given back', async () => {
    await start()
    const id = await addUser(process, 'ada', ['editor'])
    await process.database.users.updateUser(id, { is_active: false, roles: [] })
    await process.database.users.updateUser(id, { is_active: true })
    await process.database.users.updateUser(id, { roles: ['editor'] })
    expect(await process.repeat()).toEqual({ repeated: 0, missing: 0 })
    expect(await userOf(id)).toMatchObject({ is_active: true, roles: ['editor'] })
  })

  test('removes roles in their order, and gives none', async () => {
    await start()
    const id = await addUser(process, 'ada')
    await process.database.users.updateUser(id, { roles: ['b', 'a', 'c'] })
    await process.other`UPDATE users SET roles = '{x,b,y,a}'`
    expect(await process.repeat()).toMatchObject({ repeated: 1 })
    expect(await userOf(id)).toMatchObject({ roles: ['b', 'a'] })
  })

  test('sets the last password whichever former one is back', async () => {
    await start()
    const id = await addUser(process, 'ada')
    const { users } = process.database
    await users.replaceHash(id, 'hash of ada', 'newer hash')
    await users.updatePassword(id, { hash: 'second', mustChange: true }, new Date())
    await users.updatePassword(id, { hash: 'third', mustChange: false, replacing: 'second' }, new Date())
    for (const former of ['hash of ada', 'newer hash', 'second']) {
      await process.other`UPDATE users SET hashed_password = ${former}, must_change_password = true`
      await process.repeat()
      expect(await userOf(id)).toMatchObject({ hashed_password: 'third', must_change_password: false })
    }
    await process.other`UPDATE users SET hashed_password = 'set by another replica'`
    await process.repeat()
    expect(await userOf(id)).toMatchObject({ hashed_password: 'set by another replica' })
  })

  test('changes administrators as long as another one remains', async () => {
    await start()
    const ids = [await addUser(process, 'a', ['admin']), await addUser(process, 'b', ['admin'])]
    const last = await addUser(process, 'c', ['admin'])
    await process.database.users.updateUser(String(ids[0]), { is_active: false })
    await process.database.users.updateUser(String(ids[1]), { roles: ['editor'] })
    await process.other`UPDATE users SET is_active = true, roles = '{admin}'`
    expect(await process.repeat()).toEqual({ repeated: 2, missing: 0 })
    expect(await userOf(String(ids[0]))).toMatchObject({ is_active: false })
    expect(await userOf(String(ids[1]))).toMatchObject({ roles: [] })
    expect(await userOf(last)).toMatchObject({ is_active: true, roles: ['admin'] })
  })

  test('skips what a trigger rejects, and makes the other changes', async () => {
    await start()
    const ids: string[] = []
    for (const name of ['a', 'b', 'c', 'd', 'e']) ids.push(await addUser(process, name))
    for (const id of ids) await process.database.users.updateUser(id, { is_active: false })
    await process.other`UPDATE users SET is_active = true`
    await process.other.unsafe(`
      CREATE FUNCTION reject() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
      CREATE TRIGGER reject BEFORE UPDATE ON users FOR EACH ROW WHEN (OLD.username = 'c') EXECUTE FUNCTION reject()`)
    expect(await process.repeat()).toMatchObject({ repeated: 4 })
    const active = await process.other`SELECT username FROM users WHERE is_active`
    expect(active.map(({ username }) => username)).toEqual(['c'])
  })
})

describe('missing rows after a failover', () => {
  let process: Remembered
  let user: { readonly id: string; readonly hash: string }
  beforeAll(async () => {
    process = await remember()
    user = { id: await addUser(process, 'ada'), hash: 'hash of ada' }
  })
  afterAll(() => process?.close())

  const missing = async () => (await process.repeat()).missing
  const rotation = (id: string, generation: number) => ({
    id,
    generation,
    now: new Date(),
    retryableSince: new Date(0),
    createdAfter: new Date(0),
    idle: 3_600_000,
    lifetime: 7_200_000,
  })

  test('do not include a session that another replica has ended', async () => {
    const id = await signIn(process, user)
    await process.database.sessions.rotate(rotation(id, 0))
    await process.other`DELETE FROM audittrail_sessions WHERE id = ${id}`
    expect(await missing()).toBe(0)
  })

  test('do not include a refreshed session that another replica has started and ended', async () => {
    const id = crypto.randomUUID()
    await process.other`INSERT INTO audittrail_sessions (id, user_id, created_at, last_used_at, expires_at, refresh_generation)
      VALUES (${id}, ${user.id}, now() - interval '5 minutes', now(), now() + interval '1 hour', 0)`
    expect(await process.database.sessions.rotate(rotation(id, 0))).toMatchObject({ generation: 1 })
    await process.other`DELETE FROM audittrail_sessions WHERE id = ${id}`
    expect(await missing()).toBe(0)
  })

  test('do not include the sessions of a user whom another replica has deleted', async () => {
    const [deleted] =
      await process.other`INSERT INTO users (username, hashed_password, full_name) VALUES ('x', 'x', 'x') RETURNING id`
    await signIn(process, { id: String(deleted?.id), hash: 'x' })
    await process.other`DELETE FROM users WHERE id = ${String(deleted?.id)}`
    expect(await missing()).toBe(0)
  })

  test('include a session whose sign-in is gone too', async () => {
    const earlier = new Date(Date.now() - 10_000)
    const id = await signIn(process, user)
    await process.other`DELETE FROM audittrail_sessions WHERE id = ${id}`
    await process.other`UPDATE audittrail_sign_ins SET last_at = ${earlier}`
    expect(await missing()).toBeGreaterThanOrEqual(1)
    await process.other`UPDATE audittrail_sign_ins SET last_at = now()`
    expect(await missing()).toBe(0)
  })

  test('include a session whose refresh is gone', async () => {
    const id = await signIn(process, user)
    await process.database.sessions.rotate(rotation(id, 0))
    await process.other`UPDATE audittrail_sessions SET refresh_generation = 0`
    expect(await missing()).toBe(1)
  })

  test('are not counted for a role that must not read sign-ins, which repeats revocations', async () => {
    const role = `limited_${crypto.randomUUID().replaceAll('-', '')}`
    await process.database.users.updateUser(user.id, { is_active: false })
    await process.other`UPDATE users SET is_active = true`
    await process.other.unsafe(
      `CREATE ROLE ${role}; GRANT ALL ON users, audittrail_sessions, audittrail_api_keys, audittrail_audit_pending, audittrail_audit_accounts TO ${role}`,
    )
    try {
      expect(await process.repeat(role)).toEqual({ repeated: 1, missing: 0 })
    } finally {
      await process.other.unsafe(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    }
  })
})
