import { beforeAll, describe, expect, test } from 'bun:test'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { hasProgram } from '../requirements.ts'
import { binary, emptyDirectory, run, serve } from './binary.ts'

const password = 'correct horse battery staple'
const environment = { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1' }
const [left, right, up, backspace] = ['\u001b[D', '\u001b[C', '\u001b[A', '\u007f']

describe.skipIf(!hasProgram('script', 'bsdutils'))('password prompt', () => {
  const directory = emptyDirectory()
  beforeAll(async () => (await serve({ directory, environment })).stop())

  /**
   * Runs `user add` on a terminal and types each text once its prompt is shown. Returns the screen
   * and the exit code.
   */
  async function typeAt(name: string, texts: readonly string[]): Promise<{ screen: string; code: number | null }> {
    // `script` gives the command a terminal.
    const command = `${binary} user add ${name}; code=$?; stty -a; exit $code`
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      cwd: directory,
      env: { PATH: process.env.PATH, ...environment },
      stdio: ['pipe', 'pipe', 'ignore'],
      timeout: 20_000,
    })
    let screen = ''
    const waiting = texts.map((text, index) => ({ text, prompt: index === 0 ? 'Password for' : 'Repeat password:' }))
    child.stdout.on('data', (chunk) => {
      screen += chunk
      const [next] = waiting
      if (!next || !screen.includes(next.prompt)) return
      waiting.shift()
      child.stdin.write(next.text)
    })
    const [code] = await once(child, 'close')
    return { screen, code }
  }

  test('ignores cursor keys, hides the password and restores the terminal', async () => {
    const edited = `${left}${password}x${backspace}${left}${right}${up}`
    const { screen, code } = await typeAt('cursor', [`${edited}\r`, `${password}\r`])
    expect(code).toBe(0)
    expect(screen).not.toContain('horse')
    expect(screen).toMatch(/ icanon .* echo /s)
  })

  test('exits 1 on Ctrl-C, restores the terminal and changes nothing', async () => {
    const { screen, code } = await typeAt('interrupted', [`${password}\u0003`])
    expect(code).toBe(1)
    expect(screen).toContain('Interrupted. Nothing was changed.')
    expect(screen).toMatch(/ icanon .* echo /s)
    expect((await run(['user', 'list'], { directory, environment })).stdout).not.toContain('interrupted')
  })

  test('ends a line on Ctrl-D', async () => {
    const typed = await typeAt('ended', [`${password}\u0004`, `${password}\u0004`])
    expect(typed.code).toBe(0)
    expect(typed.screen).not.toContain('One-time')
  })

  test('rejects two different passwords', async () => {
    const { screen, code } = await typeAt('different', [`${password}\r`, `${password}x\r`])
    expect(code).toBe(1)
    expect(screen).toContain('The passwords do not match. Nothing was changed.')
  })

  test('accepts input typed ahead of the second prompt', async () => {
    expect((await typeAt('ahead', [`${password}\r${password}\r`])).code).toBe(0)
  })
})
