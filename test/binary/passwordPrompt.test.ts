import { beforeAll, describe, expect, test } from 'bun:test'
import { run, serve } from './binary.ts'
import { type Installation, newInstallation } from './installation.ts'
import { hasTerminal, typeAt } from './terminal.ts'

const password = 'correct horse battery staple'
const [left, right, up, backspace] = ['\u001b[D', '\u001b[C', '\u001b[A', '\u007f']
const first = 'Password for'
const second = 'Repeat password:'

describe.skipIf(!hasTerminal)('password prompt', () => {
  let installation: Installation
  beforeAll(async () => {
    installation = await newInstallation('PostgreSQL')
    await (await serve(installation)).stop()
  })

  test('ignores cursor keys, hides the password and restores the terminal', async () => {
    const edited = `${left}${password}x${backspace}${left}${right}${up}`
    const { screen, code } = await typeAt(
      'user add cursor',
      [
        [first, `${edited}\r`],
        [second, `${password}\r`],
      ],
      installation,
    )
    expect(code).toBe(0)
    expect(screen).not.toContain('horse')
    expect(screen).toMatch(/ icanon .* echo /s)
  })

  test('exits 1 on Ctrl-C, restores the terminal and changes nothing', async () => {
    const { screen, code } = await typeAt('user add interrupted', [[first, `${password}\u0003`]], installation)
    expect(code).toBe(1)
    expect(screen).toContain('Interrupted. Nothing was changed.')
    expect(screen).toMatch(/ icanon .* echo /s)
    expect((await run(['user', 'list'], installation)).stdout).not.toContain('interrupted')
  })

  test('ends a line on Ctrl-D', async () => {
    const typed = await typeAt(
      'user add ended',
      [
        [first, `${password}\u0004`],
        [second, `${password}\u0004`],
      ],
      installation,
    )
    expect(typed.code).toBe(0)
    expect(typed.screen).not.toContain('One-time')
  })

  test('asks again after two different passwords, and after one that the policy rejects', async () => {
    const typed = [
      [first, `${password}\r`],
      [second, `${password}x\r`],
      ['The passwords do not match. Try again.', ''],
      [first, 'short\r'],
      ['must have at least 12 characters (got 5). Try again.', ''],
      [first, `${password}\r`],
      [second, `${password}\r`],
    ] as const
    const { screen, code } = await typeAt('user add again', typed, installation)
    expect({ code, isCreated: screen.includes('User again created.') }).toEqual({ code: 0, isCreated: true })
  })

  test('exits 1 after three passwords that do not match', async () => {
    const mismatch = [
      [first, `${password}\r`],
      [second, `${password}x\r`],
    ] as const
    const { screen, code } = await typeAt('user add different', [...mismatch, ...mismatch, ...mismatch], installation)
    expect(code).toBe(1)
    expect(screen).toContain('The passwords do not match. Nothing was changed.')
    expect((await run(['user', 'list'], installation)).stdout).not.toContain('different')
  })

  test('accepts input typed ahead of the second prompt', async () => {
    expect((await typeAt('user add ahead', [[first, `${password}\r${password}\r`]], installation)).code).toBe(0)
  })
})
