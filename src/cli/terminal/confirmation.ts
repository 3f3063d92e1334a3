import { createInterface } from 'node:readline'
import { AppError } from '../../error.ts'

/** The flag of every command that asks. */
export const yes = { doc: 'Do not ask for confirmation' } as const

/**
 * Asks on the terminal before something that cannot be undone. Asks nothing with `--yes`, or if
 * stdin is not a terminal. Throws `refused` unless the reply is y or yes.
 */
export async function requireConfirmation(question: string, flags: ReadonlyMap<string, unknown>): Promise<void> {
  if (flags.has('yes') || !process.stdin.isTTY) return
  const reply = await ask(`${question} [y/N] `)
  if (!/^y(es)?$/i.test(reply.trim())) throw new AppError('refused', 'Not confirmed. Nothing was changed.')
}

/** Returns an empty reply on Ctrl-C and Ctrl-D. */
function ask(prompt: string): Promise<string> {
  const keyboard = createInterface({ input: process.stdin, output: process.stderr, historySize: 0 })
  const { promise, resolve } = Promise.withResolvers<string>()
  keyboard.once('SIGINT', () => keyboard.close()).once('close', () => resolve(''))
  keyboard.question(prompt, resolve)
  return promise.finally(() => keyboard.close())
}
