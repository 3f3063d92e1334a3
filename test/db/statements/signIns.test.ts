import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { createAccounts, good } from '../../http/accounts.ts'

const minute = 60_000

describe.each(databaseKinds)('the statements of a sign-in on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind)
  })
  afterAll(() => application.close())

  const { makeUser } = createAccounts(() => application)
  const statements = () => application.deps.database.signIns
  const now = () => new Date(application.clock.now)

  let count = 0
  const newKeys = () => {
    count++
    return [`client ${count}`, `account ${count}`, `network ${count}`] as const
  }
  type Keys = ReturnType<typeof newKeys>

  async function fail([client, account, network]: Keys, at = now()): Promise<void> {
    const forgottenAt = new Date(at.getTime() + 15 * minute)
    const failure = { username: undefined, network: undefined, forgottenAt }
    await application.deps.database.throttle.insertClientFailure(
      {
        client: { ...failure, kind: 'client', key: client },
        account: { ...failure, kind: 'account', key: account },
        network: { ...failure, kind: 'network', key: network },
      },
      at,
    )
  }

  async function start(user: { readonly username: string }, keys: Keys, between = async () => {}) {
    const { user: found, failures } = await statements().findSignIn(user.username, keys, now())
    await between()
    const id = crypto.randomUUID()
    const started = await statements().insertSession({
      id,
      userId: String(found?.id),
      verifiedHash: String(found?.hashed_password),
      unlessChanged: failures,
      now: now(),
      expiresAt: new Date(application.clock.now + minute),
      refreshGeneration: null,
      address: undefined,
      userAgent: undefined,
    })
    return { started, rows: await application.sql(`SELECT FROM audittrail_sessions WHERE id = '${id}'`) }
  }
  const signInOf = async ({ id }: { readonly id: string }) => {
    const [row] = await application.sql(
      `SELECT (extract(epoch FROM last_at) * 1000)::float8 AS at FROM audittrail_sign_ins WHERE user_id = '${id}'`,
    )
    return row?.at
  }

  test.each(['one that exists', 'one that exists, in another case', 'an unknown one'])(
    'find what the two queries for users and failures find, for %s',
    async (which) => {
      const { username, id } = await makeUser()
      await application.sql(`UPDATE users SET roles = ARRAY['admin', 'a "quoted", role'] WHERE id = '${id}'`)
      const name = which === 'an unknown one' ? 'stranger' : which.endsWith('case') ? username.toUpperCase() : username
      const keys = newKeys()
      await fail(keys)
      const { database } = application.deps
      const [user, counts] = await Promise.all([
        database.users.findUserByUsername(name),
        database.throttle.findFailureCounts(keys, now()),
      ])
      const found = await statements().findSignIn(name, keys, now())
      expect(found.user).toEqual(user && (({ created_at: _at, ...rest }) => rest)(user))
      const byKind = (some: readonly { kind: string }[]) => some.toSorted((a, b) => a.kind.localeCompare(b.kind))
      expect(byKind(found.counts)).toEqual(byKind(counts))
      expect(found.counts).toHaveLength(3)
    },
  )

  test.each(["forgotten_at = 'infinity'", "last_failed_at = '-infinity'"])(
    'read a failure with %s as the query for failures does',
    async (times) => {
      const keys = newKeys()
      await fail(keys)
      await application.sql(`UPDATE audittrail_attempts SET ${times} WHERE key = '${keys[0]}'`)
      await application.sql(`DELETE FROM audittrail_attempts WHERE key IN ('${keys[1]}', '${keys[2]}')`)
      const counts = await application.deps.database.throttle.findFailureCounts(keys, now())
      expect(String((await statements().findSignIn('stranger', keys, now())).counts.map(Object.values))).toBe(
        String(counts.map(Object.values)),
      )
      expect(counts).toHaveLength(1)
    },
  )

  test('start a session and record the sign-in at once, the first time and later', async () => {
    const user = await makeUser()
    const keys = newKeys()
    await fail(keys)
    for (const _time of ['first', 'later']) {
      application.clock.now += 1000
      const { started, rows } = await start(user, keys)
      expect(started).toEqual({ isSignInRecorded: true })
      expect(rows).toHaveLength(1)
      expect(await signInOf(user)).toBe(application.clock.now)
    }
  })

  test('keep a later time of a sign-in', async () => {
    const user = await makeUser()
    await start(user, newKeys())
    const latest = application.clock.now
    application.clock.now -= minute
    expect((await start(user, newKeys())).started).toEqual({ isSignInRecorded: true })
    application.clock.now += minute
    expect(await signInOf(user)).toBe(latest)
  })

  test.each(['a failure', 'a reset', 'a failure that was already counted once'])(
    'start no session after %s since the failures were read',
    async (change) => {
      const user = await makeUser()
      const keys = newKeys()
      if (change !== 'a failure') await fail(keys)
      const { started, rows } = await start(user, keys, () =>
        change === 'a reset' ? application.deps.database.throttle.deleteFailures(keys[0]) : fail(keys),
      )
      expect(started).toBeUndefined()
      expect(rows).toEqual([])
      expect(await signInOf(user)).toBeUndefined()
    },
  )

  test('start a session after a failure at another account and network', async () => {
    const user = await makeUser()
    expect((await start(user, newKeys(), () => fail(newKeys()))).started).toBeDefined()
  })

  test.each([
    ['a trigger raises an error', 'P0001'],
    ['a trigger has waited for a lock', '55P03'],
    ['a trigger has taken too long', '57014'],
  ])('start a session if %s, so that the sign-in cannot be recorded', async (_what, code) => {
    const user = await makeUser()
    await application.sql(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no' USING ERRCODE = '${code}'; END$$;
      CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON audittrail_sign_ins FOR EACH ROW EXECUTE FUNCTION refuse()`)
    const starts = await Promise.all(Array.from({ length: 12 }, () => start(user, newKeys())))
    for (const { started, rows } of starts) {
      expect(started).toEqual({ isSignInRecorded: false })
      expect(rows).toHaveLength(1)
    }
    await application.sql('DROP TRIGGER refuse ON audittrail_sign_ins; DROP FUNCTION refuse')
  })
})

test('a sign-in waits once for a user who is locked', async () => {
  const application = await openTestApplication('PostgreSQL')
  const { makeUser, form } = createAccounts(() => application)
  const { username, id } = await makeUser()
  const release = await application.hold(`SELECT FROM users WHERE id = '${id}' FOR UPDATE`)
  expect((await form('/auth/login', { username, password: good })).status).toBe(503)
  await release()
  expect(JSON.stringify(application.lines)).toContain('55P03')
  expect(JSON.stringify(application.lines)).not.toContain('did not respond in time')
  await application.close()
})

test('a sign-in does not wait for a locked record of the last one', async () => {
  const application = await openTestApplication('PostgreSQL')
  const { makeUser, signIn, statusOfMe } = createAccounts(() => application)
  const { username, id } = await makeUser()
  await signIn(username)
  const release = await application.hold(
    `SELECT FROM audittrail_sign_ins WHERE user_id = '${id}' FOR UPDATE; SELECT set_config('lock_timeout', '0', true)`,
  )
  const { user, failures } = await application.deps.database.signIns.findSignIn(
    username,
    [],
    new Date(application.clock.now),
  )
  const started = await application.deps.database.signIns.insertSession({
    id: crypto.randomUUID(),
    userId: id,
    verifiedHash: String(user?.hashed_password),
    unlessChanged: failures,
    now: new Date(application.clock.now),
    expiresAt: new Date(application.clock.now + minute),
    refreshGeneration: null,
    address: undefined,
    userAgent: undefined,
  })
  expect(started).toEqual({ isSignInRecorded: false })
  await release()
  expect(await statusOfMe((await signIn(username)).access_token)).toBe(200)
  await application.close()
})
