import { beforeAll, describe, expect, test } from 'bun:test'
import { accessToken, me, run, serve } from './binary.ts'
import { type Installation, newInstallation } from './installation.ts'
import { hasTerminal, typeAt } from './terminal.ts'

const passphrase = 'a long enough pass phrase'

describe.skipIf(!hasTerminal)('a command that cannot be undone', () => {
  let installation: Installation
  const command = (args: string, input = '') => run(args.split(' '), { ...installation, input })

  beforeAll(async () => {
    // Commands start faster than with the embedded database.
    installation = await newInstallation('PostgreSQL')
    installation.environment.ADMIN_PASSWORD = passphrase
    await (await serve(installation)).stop()
    for (const name of ['ada', 'bob', 'carol', 'dan'])
      expect((await command(`user add ${name}`, passphrase)).code).toBe(0)
    expect((await command('apikey create reports --role staff')).code).toBe(0)
  })

  test.each([
    ['user remove ada', 'Delete user ada and end all of their sessions? [y/N]'],
    ['key reset', 'Replace all signing keys and sign out every user? [y/N]'],
    ['apikey revoke reports', 'Revoke all API keys of reports? [y/N]'],
    ['session revoke ada', 'End all sessions of ada? [y/N]'],
  ])('%s asks on a terminal, and changes nothing unless the reply is yes', async (args, question) => {
    for (const reply of ['\r', 'n\r', 'yep\r', '\u0003', '\u0004']) {
      const { screen, code } = await typeAt(args, [[question, reply]], installation)
      expect([reply, code]).toEqual([reply, 1])
      expect(screen).toContain('Not confirmed. Nothing was changed.')
      expect(screen).toMatch(/ icanon .* echo /s)
    }
    expect((await command('user show ada')).code).toBe(0)
  })

  test('continues after y and yes', async () => {
    const question = 'end all of their sessions? [y/N]'
    for (const [name, reply] of [
      ['ada', 'y\r'],
      ['bob', 'YES\r'],
    ]) {
      const { screen, code } = await typeAt(`user remove ${name}`, [[question, reply ?? '']], installation)
      expect({ code, isRemoved: screen.includes(`User ${name} removed.`) }).toEqual({ code: 0, isRemoved: true })
    }
  })

  test('does not ask with --yes, or without a terminal', async () => {
    expect((await typeAt('user remove carol --yes', [], installation)).screen).not.toContain('[y/N]')
    expect(await command('user remove dan')).toMatchObject({ code: 0, stdout: 'User dan removed.\n', stderr: '' })
    expect((await command('user list')).stdout).not.toMatch(/carol|dan/)
  })

  test('session revoke ID does not ask', async () => {
    const server = await serve(installation)
    const token = await accessToken(server.url, 'admin', passphrase)
    const [{ id }] = JSON.parse((await command('session list admin --json')).stdout) as [{ id: string }]
    expect((await typeAt(`session revoke ${id}`, [], installation)).screen).toContain('Session ended.')
    expect((await me(server.url, token)).status).toBe(401)
    await server.stop()
  })
})
