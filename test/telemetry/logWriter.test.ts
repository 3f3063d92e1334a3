import { describe, expect, test } from 'bun:test'
import { logWriter } from '../../src/telemetry/logWriter.ts'

/** A reader that takes as many bytes as it is allowed to. */
function reader() {
  const state = { allowed: Number.POSITIVE_INFINITY, text: '' }
  const outlet = (bytes: Uint8Array): number => {
    const taken = Math.min(bytes.length, state.allowed)
    state.text += Buffer.from(bytes.subarray(0, taken)).toString()
    state.allowed -= taken
    return taken
  }
  return { state, outlet }
}

const nothingDropped = (lines: number) => {
  throw new Error(`dropped ${lines}`)
}

describe('the log writer', () => {
  test('loses nothing and keeps the order', () => {
    const { state, outlet } = reader()
    const { write, flush } = logWriter(outlet, nothingDropped)
    write('one\n')
    write('two\n')
    flush()
    write('three\n')
    flush()
    expect(state.text).toBe('one\ntwo\nthree\n')
  })

  test('goes on in the middle of a character where a slow reader stopped', async () => {
    const { state, outlet } = reader()
    const { write } = logWriter(outlet, nothingDropped)
    state.allowed = 2
    write('é1\n')
    await Bun.sleep(0)
    write('é2\n')
    state.allowed = 1
    await Bun.sleep(50)
    state.allowed = Number.POSITIVE_INFINITY
    await Bun.sleep(50)
    expect(state.text).toBe('é1\né2\n')
  })

  test('keeps a bounded heap for a reader that has stopped, drops whole lines, and tells how many', async () => {
    const { state, outlet } = reader()
    let counted = 0
    const count = (lines: number) => {
      counted += lines
    }
    const writer = logWriter(outlet, (lines) => writer.write(`dropped ${lines}\n`), count)
    state.allowed = 10
    const line = (index: number) => `${String(index).padStart(99, '0')}\n`
    for (let index = 0; index < 20_000; index++) {
      writer.write(line(index))
      if (index === 100) await Bun.sleep(0)
    }
    // Before anybody reads on: whoever watches is told of it while it happens.
    expect(counted).toBeGreaterThan(1000)
    state.allowed = Number.POSITIVE_INFINITY
    await Bun.sleep(60)
    const lines = state.text.split('\n').slice(0, -1)
    const kept = lines.slice(0, -1)
    expect(kept).toEqual(kept.map((_, index) => line(index).slice(0, -1)))
    expect(lines.at(-1)).toBe(`dropped ${20_000 - kept.length}`)
    expect(counted).toBe(20_000 - kept.length)
    expect(kept.length).toBeGreaterThan(10_000)
    expect(kept.length).toBeLessThan(10_600)
  })

  test('does not keep the process for a reader that takes nothing', () => {
    const { state, outlet } = reader()
    const { write, flush } = logWriter(outlet, nothingDropped)
    state.allowed = 0
    write('never read\n')
    const started = performance.now()
    flush()
    expect(performance.now() - started).toBeLessThan(5000)
  })
})
