import { beforeAll, describe, expect, test } from 'bun:test'
import { SQL } from 'bun'
import { run, serve } from './binary.ts'
import { databaseKinds, installForSuite, newInstallation, serverStates } from './installation.ts'

describe.each(databaseKinds)('audit erase and prune on %s', (kind) => {
  describe.each(serverStates)('%s', (state) => {
    const { command } = installForSuite(kind, state)
    const list = async (args: string): Promise<Record<string, unknown>[]> => {
      const { stdout } = await command(`audit list --json --limit 1000 ${args}`)
      return stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line))
    }
    let id: string

    beforeAll(async () => {
      await command('user add carol --full-name Shaw')
      await command('user set carol --role billing')
      await command('user remove carol --yes')
      // A server takes what is pending about once a second.
      while ((await list('--type user.deleted')).length === 0) await Bun.sleep(50)
      const [{ about } = { about: undefined }] = await list('--type user.deleted')
      id = (about as { readonly id: string }).id
    })

    test('erase removes the name of a deleted user, and the log verifies', async () => {
      expect(await command('audit erase Carol --yes')).toMatchObject({
        code: 0,
        stdout: `Erased the personal data of ${id} from 3 records.\n`,
        stderr: '',
      })
      while ((await list('--type audit.erased')).length === 0) await Bun.sleep(50)
      const records = await list(`--about ${id}`)
      expect(records.map(({ type }) => type)).toEqual([
        'user.created',
        'user.roles_changed',
        'user.deleted',
        'audit.erased',
      ])
      expect(JSON.stringify(records)).not.toMatch(/carol|Shaw/i)
      const { code, stdout } = await command('audit verify')
      expect(code).toBe(0)
      expect(stdout).toContain('Note: erased names and addresses, each erasure recorded: 3.')
      expect((await command('audit erase carol --yes')).stderr).toBe(
        'audittrail: The audit log has no personal data of "carol". For a user whose records have no name, pass the id.\n',
      )
    })

    test('erase says that a user who exists will be named again', async () => {
      await command('user add dave')
      expect(await command('audit erase dave --yes')).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^Erased the personal data of \S{36} from 1 record\.\n$/),
        stderr: 'audittrail: The user exists, so new records will have their name and address.\n',
      })
    })

    test('prune keeps a log that has no whole tile of old records', async () => {
      const result = { code: 0, stdout: 'Pruned 0 records. The audit log begins at record 0.\n', stderr: '' }
      expect(await command('audit prune --below 256 --yes')).toMatchObject(result)
      expect(await command('audit prune --before 1d --yes')).toMatchObject(result)
    })

    test.each([
      ['audit prune --yes', 'Pass --before or --below, or set AUDIT_RETENTION_DAYS.'],
      ['audit prune --before 1d --below 256 --yes', 'Pass --before or --below, not both.'],
      ['audit prune --below=-1 --yes', '--below must be the index of a record'],
      ['audit prune --before soon --yes', '--before must be a time such as'],
    ])('%s is a usage error', async (args, message) => {
      expect(await command(args)).toMatchObject({ code: 2, stderr: expect.stringContaining(message) })
    })
  })
})

describe.each(serverStates)('audit prune on PostgreSQL %s', (state) => {
  test('deletes whole tiles, which show names', async () => {
    const installation = await newInstallation('PostgreSQL')
    const server = await serve(installation)
    const sql = new SQL(installation.environment.DATABASE_URL ?? '', { max: 1 })
    // Concurrent sign-ins may have filled several tiles by now.
    const body = () => new URLSearchParams({ username: 'admin', password: 'changeme' })
    while (Number((await sql`SELECT count(*)::int AS count FROM audittrail_audit_events`)[0]?.count) < 260)
      await Promise.all(
        Array.from({ length: 20 }, async () =>
          (await fetch(`${server.url}/auth/login`, { method: 'POST', body: body() })).text(),
        ),
      )
    if (state === 'with the server down') await server.stop()
    const command = (args: string) => run(args.split(' '), installation)
    expect(await command('audit prune --below 300 --yes')).toMatchObject({
      code: 0,
      stdout: 'Pruned 256 records. The audit log begins at record 256.\n',
    })
    expect((await command('audit show 3')).stderr).toBe(
      'audittrail: Record 3 was pruned. The audit log begins at record 256.\n',
    )
    const { code, stdout } = await command('audit verify')
    expect(code).toBe(0)
    expect(stdout).toContain('Note: the records below 256 were pruned, and the pruning is recorded.')
    await sql.close()
    if (state === 'with the server up') await server.stop()
  }, 120_000)
})
