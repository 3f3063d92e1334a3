import { isUtf8 } from 'node:buffer'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import type { Config } from '../../config/config.ts'
import { requireAcceptablePassword } from '../../domain/passwords/policy.ts'
import { AppError } from '../../error.ts'
import { printable } from '../../telemetry/log.ts'
import type { CommandEnvironment } from '../command.ts'

const attempts = 3

/**
 * Reads a password: from a prompt without echo, twice, or from the first line of stdin if it is not
 * a terminal. Never from argv, which other processes can see. Returns undefined if it is empty,
 * which asks for a one-time password. The prompt asks again if the password is not acceptable.
 */
export async function readPassword(username: string, environment: CommandEnvironment): Promise<string | undefined> {
  if (!process.stdin.isTTY) return (await firstLine()) || undefined
  const { stderr } = environment
  const keyboard = openKeyboard()
  try {
    for (let attempt = 1; ; attempt++) {
      stderr(`Password for ${printable(username)} (leave empty to generate a one-time password): `)
      const password = await keyboard.readLine()
      if (password === '') return undefined
      const problem = await findProblem(password, username, environment.config, () => {
        stderr('\nRepeat password: ')
        return keyboard.readLine()
      })
      if (problem === undefined) return password
      if (attempt === attempts) throw new AppError('refused', `${problem} Nothing was changed.`)
      stderr(`\n${problem} Try again.\n`)
    }
  } finally {
    stderr('\n')
    keyboard.close()
  }
}

/** Returns why a typed password is not acceptable. Asks for it again only if it is. */
async function findProblem(
  password: string,
  username: string,
  { passwordMinLength }: Config,
  repeat: () => Promise<string>,
): Promise<string | undefined> {
  try {
    await requireAcceptablePassword({ password, username }, passwordMinLength, 'password')
  } catch (error) {
    if (error instanceof AppError && error.code === 'invalid_fields') return error.message
    throw error
  }
  return (await repeat()) === password ? undefined : 'The passwords do not match.'
}

const maxLineBytes = 8192

/** Stops at the first line break, since the writer may keep the pipe open. */
async function firstLine(): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of Bun.stdin.stream()) {
    const end = chunk.indexOf(0x0a)
    chunks.push(end < 0 ? chunk : chunk.subarray(0, end))
    size += chunk.length
    if (end >= 0) break
    if (size > maxLineBytes)
      throw new AppError('refused', `The first line of standard input is longer than ${maxLineBytes} bytes.`)
  }
  const bytes = Buffer.concat(chunks)
  if (!isUtf8(bytes) || bytes.includes(0))
    throw new AppError('refused', 'The password on standard input is not UTF-8 text.')
  return bytes.toString().replace(/\r+$/, '')
}

/** Reads lines from the terminal without echo. Lines typed ahead are kept. */
function openKeyboard() {
  const discarded = new Writable({ write: (_chunk, _encoding, done) => done() })
  const keyboard = createInterface({ input: process.stdin, output: discarded, terminal: true, historySize: 0 })
  const lines: string[] = []
  let isInterrupted = false
  let isClosed = false
  let wake = () => {}
  keyboard
    .on('line', (line) => {
      lines.push(line)
      wake()
    })
    .on('SIGINT', () => {
      isInterrupted = true
      wake()
    })
    .on('close', () => {
      isClosed = true
      wake()
    })
  // readline ignores Ctrl-D after text; a terminal would end the line.
  const submitOnCtrlD = (_text: string | undefined, key: { readonly ctrl: boolean; readonly name: string }) => {
    if (key.ctrl && key.name === 'd' && keyboard.line !== '') keyboard.write(null, { name: 'return' })
  }
  process.stdin.on('keypress', submitOnCtrlD)
  return {
    readLine: async (): Promise<string> => {
      while (lines.length === 0 && !isInterrupted && !isClosed) {
        const { promise, resolve } = Promise.withResolvers<void>()
        wake = resolve
        await promise
      }
      const line = lines.shift()
      if (isInterrupted || line === undefined) throw new AppError('refused', 'Interrupted. Nothing was changed.')
      return line
    },
    close: () => {
      process.stdin.off('keypress', submitOnCtrlD)
      keyboard.close()
    },
  }
}
