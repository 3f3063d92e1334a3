import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { SQL } from 'bun'
import { run, serve, start } from './binary.ts'
import { databaseKinds, type Installation, installForSuite, newInstallation, serverStates } from './installation.ts'
import { hasTerminal, typeAt } from './terminal.ts'

describe.each(databaseKinds)('audit commands on %s', (kind) => {
  describe.each(serverStates)('%s', (state) => {
    const { command, installation } = installForSuite(kind, state)
    const audit = async (args: string) => command(`audit ${args}`)
    const events = async (args = ''): Promise<Record<string, unknown>[]> => {
      const { stdout } = await audit(`list --json --limit 1000${args}`)
      return stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line))
    }
    /** A server takes what is pending about once a second. */
    const untilRecorded = async (type: string) => {
      while ((await events(` --type ${type}`)).length === 0) await Bun.sleep(50)
    }

    beforeAll(async () => {
      if (state === 'with the server up') await untilRecorded('audit.baseline')
      await command('user add carol')
      await command('user set carol --role admin --role billing')
      await command('apikey create billing --scope introspect')
      await command('user add dave')
      await command('user remove dave --yes')
      await untilRecorded('user.deleted')
    })

    test('list prints the newest records as a table, the newest last', async () => {
      const { code, stdout } = await audit('list --limit 5')
      const [headings = '', ...rows] = stdout.trimEnd().split('\n')
      expect(code).toBe(0)
      expect(headings.split(/ {2,}/)).toEqual([
        'INDEX',
        'TIME (UTC)',
        'TYPE',
        'OUTCOME',
        'BY',
        'ABOUT',
        'ADDRESS',
        'DETAILS',
      ])
      expect(rows.map((row) => row.split(/ {2,}/).slice(2))).toEqual([
        ['user.created', 'done', 'command', 'carol', '-', 'roles=none'],
        ['user.roles_changed', 'done', 'command', 'carol', '-', 'fields=roles roles=admin,billing is_active=true'],
        ['api_key.created', 'done', 'command', 'service:billing', '-', expect.stringContaining('scopes=introspect')],
        ['user.created', 'done', 'command', 'dave', '-', 'roles=none'],
        ['user.deleted', 'done', 'command', 'dave', '-'],
      ])
      expect(new Set(rows.map((row) => row.indexOf('done'))).size).toBe(1)
    })

    test('list filters by user, actor, subject, type, outcome and time', async () => {
      const types = async (args: string) => (await events(args)).map(({ type }) => type)
      expect(await types(' --user Carol')).toEqual(['user.created', 'user.roles_changed'])
      expect(await types(' --about carol --type user.created')).toEqual(['user.created'])
      expect(await types(' --by carol')).toEqual([])
      expect(await types(' --outcome refused')).toEqual([])
      expect(await types(' --about carol --since 1h --until 2099-01-01')).toHaveLength(2)
      expect(await types(' --about carol --since 2099-01-01T00:00Z')).toEqual([])
      const [{ about } = { about: { id: '' } }] = await events(' --type user.deleted')
      const { id } = about as { id: string }
      expect(await types(` --user ${id}`)).toEqual(['user.created', 'user.deleted'])
    })

    test.each([
      ['list --since yesterday', '--since must be a time such as 2026-11-28, 2026-11-28T09:30Z or 2h (two hours ago).'],
      ['list --until 2026-02-30T25:00', '--until must be a time such as'],
      ['list --outcome failed', '--outcome must be done or refused.'],
      ['list --limit 0', '--limit must be a number from 1 to 1000.'],
      ['show one', 'INDEX must be a number, such as 42.'],
    ])('%s is a usage error', async (args, message) => {
      expect(await audit(args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(message) })
    })

    test('list and show report what does not exist', async () => {
      expect(await audit('list --user erin')).toMatchObject({
        code: 1,
        stderr:
          'audittrail: There is no user "erin". For a deleted user or an API key, pass the id, which "audittrail audit list --json" prints.\n',
      })
      expect(await audit('show 999999')).toMatchObject({
        code: 1,
        stderr: 'audittrail: There is no record 999999 in the audit log.\n',
      })
    })

    test('show prints one record, and --json prints what the list has', async () => {
      const [changed] = await events(' --type user.roles_changed')
      const { stdout } = await audit(`show ${changed?.index}`)
      const rows = Object.fromEntries(stdout.split('\n').map((line) => line.split(/ {2,}/)))
      expect(rows).toMatchObject({
        index: String(changed?.index),
        type: 'user.roles_changed',
        outcome: 'done',
        'by.kind': 'command',
        'about.username': 'carol',
        roles: 'admin,billing',
      })
      expect(JSON.parse((await audit(`show ${changed?.index} --json`)).stdout)).toEqual(changed)
    })

    test('verify exits 0, and says what it cannot rule out', async () => {
      const { code, stdout, stderr } = await audit('verify')
      expect(stdout).toMatch(/^The audit log is intact: \d+ records(, and \d+ pending)?\.\nNote: .*\n$/)
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      const report = JSON.parse((await audit('verify --json')).stdout)
      expect(report).toMatchObject({ findings: 0, listed: [], size: expect.any(Number), notes: [expect.any(String)] })
    })

    test('verify records its result', async () => {
      const known = (await events(' --type audit.verified')).length
      const { size } = JSON.parse((await audit('verify --json')).stdout)
      while ((await events(' --type audit.verified')).length === known) await Bun.sleep(50)
      const verified = (await events(' --type audit.verified')).at(-1) as { readonly facts: Record<string, unknown> }
      expect(verified).toMatchObject({ outcome: 'done', by: { kind: 'command' } })
      expect(verified.facts).toMatchObject({ scope: 'whole', result: 'intact', findings: 0 })
      expect(Number(verified.facts.size)).toBeLessThanOrEqual(size)
      expect((await audit('verify')).code).toBe(0)
    })

    test.skipIf(!hasTerminal)('verify shows its progress on a terminal, and removes it', async () => {
      const { screen, code } = await typeAt('audit verify', [], installation())
      expect(code).toBe(0)
      const [progress = '', result] = screen.split('The audit log is intact')
      expect(progress).toMatch(/\[#{30}\] 100 % {2}\d+ of \d+ records/)
      expect(progress).toEndWith(' records\r\u001b[K')
      expect(result).toStartWith(': ')
    })
  })
})

describe('audit verify', () => {
  let place: Installation
  let sql: SQL
  beforeAll(async () => {
    place = await newInstallation('PostgreSQL')
    await (await serve(place)).stop()
    sql = new SQL(place.environment.DATABASE_URL ?? '', { max: 1 })
  })
  afterAll(() => sql.close())
  const verify = (environment: Record<string, string> = {}) =>
    run(['audit', 'verify'], { directory: place.directory, environment: { ...place.environment, ...environment } })
  const events = 'audittrail_audit_events'

  test('names 20 findings, counts the others and exits 1', async () => {
    await sql.unsafe(`CREATE TABLE kept AS SELECT * FROM ${events}`)
    try {
      await sql.unsafe(`UPDATE ${events} SET type = 'login.failed' WHERE index = 1`)
      const one = await verify()
      expect(one.stdout).toMatch(
        /^record 1 \(\S+Z login\.failed\) has another type than its leaf\nThe audit log was tampered with: 1 finding in \d+ records\.\nNote: /,
      )
      expect(one.code).toBe(1)
      await sql.unsafe(`INSERT INTO kept SELECT * FROM ${events} WHERE index > (SELECT max(index) FROM kept)`)
      await sql.unsafe(
        `UPDATE ${events} SET type = 'x', outcome = 'x', n = n + 100, process = process || 'x', time = now(), by_id = gen_random_uuid(), about_id = gen_random_uuid()`,
      )
      const { code, stdout } = await verify()
      expect(stdout.match(/^record /gm)).toHaveLength(20)
      expect(stdout).toMatch(/^\d+ more findings\nThe audit log was tampered with: \d+ findings in \d+ records\.$/m)
      expect(code).toBe(1)
      const leaves = await sql.unsafe(`SELECT leaf FROM ${events} WHERE leaf LIKE '%audit.verified%' ORDER BY index`)
      expect(leaves.map(({ leaf }: { leaf: string }) => JSON.parse(leaf).facts.result)).toEqual([
        'tampered',
        'tampered',
      ])
    } finally {
      await sql.unsafe(
        `UPDATE ${events} changed SET type = kept.type, outcome = kept.outcome, n = kept.n, process = kept.process, time = kept.time,
           by_id = kept.by_id, about_id = kept.about_id FROM kept WHERE kept.index = changed.index`,
      )
      await sql.unsafe('DROP TABLE kept')
    }
    expect((await verify()).code).toBe(0)
  })

  test('exits 3 without the SECRET_KEY of the server, and creates none', async () => {
    const { SECRET_KEY: _, ...environment } = place.environment
    expect(await run(['audit', 'verify'], { directory: place.directory, environment })).toMatchObject({
      code: 3,
      stdout: '',
      stderr:
        'audittrail: The audit log could not be checked: SECRET_KEY is not set. Set it to the value that the server has.\n',
    })
    expect(existsSync(join(place.directory, 'data'))).toBe(false)
    const { code, stderr } = await verify({ SECRET_KEY: 'x'.repeat(32) })
    expect(stderr).toStartWith(
      'audittrail: The audit log could not be checked: This database was used with a different SECRET_KEY.',
    )
    expect(code).toBe(3)
  })

  test('exits 3 if there is no database, or one without an audit log, which it does not change', async () => {
    const elsewhere = await newInstallation('the embedded database')
    expect(await run(['audit', 'verify'], elsewhere)).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('There is no database in DATA_DIR'),
    })
    const empty = await newInstallation('PostgreSQL')
    for (const [args, expected] of [
      ['audit verify', 3],
      ['audit list', 1],
      ['audit show 0', 1],
    ] as const)
      expect(await run(args.split(' '), empty)).toMatchObject({
        code: expected,
        stderr: expect.stringContaining(
          'This database has no audit log of this version. Start the server, or run "audittrail migrate".\n',
        ),
      })
    const client = new SQL(empty.environment.DATABASE_URL ?? '', { max: 1 })
    expect([...(await client`SELECT tablename FROM pg_tables WHERE schemaname = 'public'`)]).toEqual([])
    await client.close()
    expect(await verify({ DATABASE_URL: 'postgresql://audittrail@127.0.0.1:9/none' })).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('The audit log could not be checked: '),
    })
  })

  test.each(['SIGINT', 'SIGTERM'] as const)('exits 3 after %s', async (signal) => {
    // The lock keeps it from ending first.
    const connection = await sql.reserve()
    await connection.unsafe('BEGIN')
    await connection.unsafe(`LOCK TABLE audittrail_audit_pending IN ACCESS EXCLUSIVE MODE`)
    const running = start({ ...place, args: ['audit', 'verify'] })
    const isWaiting = async () => {
      const [row] = await connection.unsafe(
        'SELECT count(*)::integer AS count FROM pg_locks JOIN pg_database ON oid = database WHERE NOT granted AND datname = current_database()',
      )
      return row.count > 0
    }
    while (!(await isWaiting())) await Bun.sleep(20)
    running.process.kill(signal)
    const finished = await running.finished
    await connection.unsafe('ROLLBACK')
    connection.release()
    expect(finished).toMatchObject({
      code: 3,
      stdout: '',
      stderr: 'audittrail: The audit log could not be checked: Interrupted.\n',
    })
  })
})
