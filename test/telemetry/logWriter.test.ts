import { afterEach, describe, expect, test } from 'bun:test'
import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { createLogWriter } from '../../src/telemetry/logWriter.ts'
import { temporaryDirectory } from '../endOfFile.ts'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

/** A pipe whose reader reads only when `read` is called. */
function openPipe() {
  const path = join(temporaryDirectory('log'), 'pipe')
  execFileSync('mkfifo', [path])
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const writer = openSync(path, constants.O_WRONLY)
  let isOpen = true
  const closeReader = () => {
    if (isOpen) closeSync(reader)
    isOpen = false
  }
  closing.push(closeReader)
  const buffer = Buffer.alloc(65_536)
  let text = ''
  const read = (): boolean => {
    try {
      const count = readSync(reader, buffer)
      text += buffer.toString('latin1', 0, count)
      return count > 0
    } catch {
      return false
    }
  }
  return { writer, read, closeReader, text: () => text }
}

const rejectDropped = {
  reportDropped: (lines: number) => {
    throw new Error(`dropped ${lines}`)
  },
  countDropped: () => {},
}

describe('log writer', () => {
  test('writes every line in order, and all of them before end() resolves', async () => {
    const file = join(temporaryDirectory('log'), 'log')
    const { write, end } = createLogWriter(openSync(file, 'w'), rejectDropped)
    const lines = Array.from({ length: 5000 }, (_, index) => `é ${index}\n`)
    for (const line of lines) write(line)
    await end()
    expect(readFileSync(file, 'utf8')).toBe(lines.join(''))
  })

  test('buffers a bounded amount for a stuck reader, drops whole lines, and reports how many', async () => {
    const pipe = openPipe()
    let counted = 0
    const { promise: reported, resolve } = Promise.withResolvers<number>()
    const countDropped = (lines: number) => {
      counted += lines
    }
    const { write, end } = createLogWriter(pipe.writer, { reportDropped: resolve, countDropped })
    const line = (index: number) => `${String(index).padStart(99, '0')}\n`
    for (let index = 0; index < 20_000; index++) write(line(index))
    // Counted while it happens, before the log flows again.
    expect(counted).toBeGreaterThan(1000)
    const reading = setInterval(() => {
      while (pipe.read()) {}
    }, 1)
    expect(await reported).toBe(counted)
    await end()
    clearInterval(reading)
    while (pipe.read()) {}
    const kept = pipe.text().split('\n').slice(0, -1)
    expect(kept).toEqual(kept.map((_, index) => line(index).slice(0, -1)))
    expect(kept.length).toBe(20_000 - counted)
    expect(kept.length).toBeWithin(10_000, 11_500)
  })

  test('end() does not wait for a stuck reader', async () => {
    const pipe = openPipe()
    const { write, end } = createLogWriter(pipe.writer, { reportDropped: () => {}, countDropped: () => {} })
    for (let index = 0; index < 2000; index++) write(`${'x'.repeat(99)}\n`)
    // The pipe is only read afterwards.
    await end()
    while (pipe.read()) {}
  })

  test('neither throws nor blocks once the reader is gone', async () => {
    const pipe = openPipe()
    const { write, end } = createLogWriter(pipe.writer, rejectDropped)
    pipe.closeReader()
    for (let index = 0; index < 100; index++) {
      write('never read\n')
      await Bun.sleep(0)
    }
    await end()
  })
})
