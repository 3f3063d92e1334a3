import { isUtf8 } from 'node:buffer'
import { AppError } from '../../error.ts'

/**
 * A password from where nobody else sees it: a prompt without echo, asked twice, or, where standard input is no terminal, its
 * first line. Undefined for an empty one: a one-time password is to be made. Never from argv, which every process may read.
 */
export async function readPassword(username: string, stderr: (text: string) => void): Promise<string | undefined> {
  if (!process.stdin.isTTY) return (await firstLine()) || undefined
  const keyboard = openKeyboard()
  try {
    stderr(`Password for ${username} (empty: a one-time one is made): `)
    const first = await keyboard.readLine()
    if (first === '') return undefined
    stderr('\nThe same again: ')
    if (first === (await keyboard.readLine())) return first
  } finally {
    stderr('\n')
    keyboard.close()
  }
  throw new AppError('refused', 'The two passwords differ: nothing was changed.')
}

const longestLine = 8192

/** Up to the first line break and no further: whoever writes it may keep the pipe open. */
async function firstLine(): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of Bun.stdin.stream()) {
    const end = chunk.indexOf(0x0a)
    chunks.push(end < 0 ? chunk : chunk.subarray(0, end))
    size += chunk.length
    if (end >= 0) break
    if (size > longestLine)
      throw new AppError('refused', `The first line of standard input is longer than ${longestLine} bytes.`)
  }
  const bytes = Buffer.concat(chunks)
  if (!isUtf8(bytes) || bytes.includes(0))
    throw new AppError('refused', 'The password on standard input is not text in UTF-8.')
  return bytes.toString().replace(/\r$/, '')
}

const [interrupt, endOfInput, backspace, erase] = ['\u0003', '\u0004', '\b', '\u007f']

/** The terminal without echo. What is typed ahead is kept for the next line. */
function openKeyboard() {
  const { stdin } = process
  const keys: string[] = []
  let wake = () => {}
  const take = (chunk: Buffer) => {
    keys.push(...chunk.toString())
    wake()
  }
  stdin.setRawMode(true)
  stdin.resume()
  stdin.on('data', take)

  const nextKey = async (): Promise<string> => {
    while (keys.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    return keys.shift() ?? ''
  }
  return {
    readLine: async (): Promise<string> => {
      const typed: string[] = []
      for (;;) {
        const key = await nextKey()
        if (key === '\r' || key === '\n' || key === endOfInput) return typed.join('')
        if (key === interrupt) throw new AppError('refused', 'Interrupted: nothing was changed.')
        if (key === backspace || key === erase) typed.pop()
        else typed.push(key)
      }
    },
    close: () => {
      stdin.off('data', take)
      stdin.setRawMode(false)
      stdin.pause()
    },
  }
}
