import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { hasProgram } from '../requirements.ts'
import { binary } from './binary.ts'
import type { Installation } from './installation.ts'

/** `script` gives a command a terminal. */
export const hasTerminal = hasProgram('script', 'bsdutils')

/** A prompt, and what is typed once it is on the screen. */
export type Typed = readonly [prompt: string, text: string]

/**
 * Runs a command on a terminal. Returns the screen, the terminal's settings included, and the exit
 * code.
 */
export async function typeAt(
  args: string,
  typed: readonly Typed[],
  { directory, environment }: Installation,
): Promise<{ screen: string; code: number | null }> {
  const command = `${binary} ${args}; code=$?; stty -a; exit $code`
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    cwd: directory,
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['pipe', 'pipe', 'ignore'],
    timeout: 20_000,
  })
  let screen = ''
  let unread = ''
  const waiting = [...typed]
  child.stdout.on('data', (chunk) => {
    screen += chunk
    unread += chunk
    for (let next = waiting[0]; next && unread.includes(next[0]); next = waiting[0]) {
      unread = unread.slice(unread.indexOf(next[0]) + next[0].length)
      waiting.shift()
      child.stdin.write(next[1])
    }
  })
  const [code] = await once(child, 'close')
  return { screen, code }
}
