import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { SQL } from 'bun'
import { run, serve } from './binary.ts'
import { type Installation, installForSuite, newInstallation, serverStates } from './installation.ts'

describe('accounts that SQL has changed', () => {
  let place: Installation
  let sql: SQL
  beforeAll(async () => {
    place = await newInstallation('PostgreSQL')
    await (await serve(place)).stop()
    sql = new SQL(place.environment.DATABASE_URL ?? '', { max: 1 })
  })
  afterAll(() => sql.close())
  const audit = (...args: string[]) =>
    run(['audit', ...args], { directory: place.directory, environment: place.environment })

  test('are named by verify until their state is accepted', async () => {
    const added = await run(['user', 'add', 'bob'], { directory: place.directory, environment: place.environment })
    expect(added.code).toBe(0)
    await sql`UPDATE users SET roles = '{admin}' WHERE username = 'bob'`
    const { code, stdout } = await audit('verify')
    expect(stdout).toMatch(/^the account "bob" \(\S{36}\) had its roles changed outside of this service\n/)
    expect(stdout).toContain('The audit log is intact: ')
    expect(stdout).toContain(
      'Accounts were changed outside of this service: 1 finding. If a change was intended, run "audittrail audit accept NAME".\n',
    )
    expect(code).toBe(1)
    expect(JSON.parse((await audit('verify', '--json')).stdout)).toMatchObject({ findings: 1, accountFindings: 1 })
    expect(await audit('accept', 'bob', '--yes')).toMatchObject({
      code: 0,
      stdout: 'Accepted the state of bob: active, roles admin.\n',
      stderr: '',
    })
    expect((await audit('verify')).code).toBe(0)
    expect((await audit('list', '--type', 'audit.accepted', '--json')).stdout).toContain('"username":"bob"')
  })

  test('are accepted by ID if they were deleted', async () => {
    const [row] = await sql`DELETE FROM users WHERE username = 'bob' RETURNING id::text AS id`
    expect((await audit('verify')).stdout).toContain(`the account ${row.id} was deleted outside of this service\n`)
    expect((await audit('accept', 'bob', '--yes')).stderr).toStartWith('audittrail: There is no user "bob".')
    expect((await audit('accept', row.id, '--yes')).stdout).toBe(`Accepted that the user ${row.id} was deleted.\n`)
    expect((await audit('verify')).code).toBe(0)
  })
})

describe.each(serverStates)('audit accept on the embedded database %s', (state) => {
  const { command } = installForSuite('the embedded database', state)

  test('accepts a user', async () => {
    expect(await command('audit accept admin --yes')).toMatchObject({
      code: 0,
      stdout: 'Accepted the state of admin: active, roles admin.\n',
    })
    expect((await command('audit verify')).code).toBe(0)
  })
})
