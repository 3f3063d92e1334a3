import { isUtf8 } from 'node:buffer'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { AppError } from '../../error.ts'

/**
 * Reads a password: from a prompt without echo, twice, or from the first line of stdin if it is not
 * a terminal. Never from argv, which other processes can see. Returns undefined if it is empty,
 * which asks for a one-time password.
 */
export async function readPassword(username: string, stderr: (text: string) => void): Promise<string | undefined> {
  if (!process.stdin.isTTY) return (await firstLine()) || undefined
  const keyboard = openKeyboard()
  try {
    stderr(`Password for ${username} (leave empty to generate a one-time password): `)
    const first = await keyboard.readLine()
    if (first === '') return undefined
    stderr('\nRepeat password: ')
    if (first === (await keyboard.readLine())) return first
  } finally {
    stderr('\n')
    keyboard.close()
  }
  throw new AppError('refused', 'The passwords do not match. Nothing was changed.')
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
  return bytes.toString().replace(/\r$/, '')
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
      if (isInterrupted) throw new AppError('refused', 'Interrupted. Nothing was changed.')
      return lines.shift() ?? ''
    },
    close: () => {
      process.stdin.off('keypress', submitOnCtrlD)
      keyboard.close()
    },
  }
}
