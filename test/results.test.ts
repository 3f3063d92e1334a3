import { describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from './endOfFile.ts'
import { allResults, collectResults } from './results.ts'

const files = {
  passing: `test.each(Array.from({ length: 5 }))('passes', () => console.error('prints (fail) itself'))
    describe('another group', () => { test('passes', () => {}) })`,
  failing: `test('passes', () => {}); test('fails', () => expect([1, 2]).toEqual([1, 3]))`,
  hook: `describe('a group', () => { beforeAll(() => { throw new Error('in a hook') }); test('never runs', () => {}) })`,
  loading: `throw new Error('while loading')`,
}

describe('collectResults', () => {
  const directory = temporaryDirectory('results')
  for (const [name, code] of Object.entries(files))
    writeFileSync(
      join(directory, `${name}.test.ts`),
      `import { beforeAll, describe, expect, test } from 'bun:test'\n${code}\n`,
    )
  const resultsOf = (flags: readonly string[], chunk: number) => {
    const { stderr } = spawnSync(process.execPath, ['test', ...flags], {
      cwd: directory,
      env: { ...process.env, ...allResults },
      encoding: 'utf8',
    })
    const collected = collectResults()
    for (let at = 0; at < stderr.length; at += chunk) collected.add(stderr.slice(at, at + chunk))
    return collected
  }

  test.each([
    ['files side by side', ['--parallel=2', '--no-isolate'], 7],
    ['one file at a time', [], 10_000],
  ])('names the file and the error of each failure, for %s', (_, flags, chunk) => {
    const results = resultsOf(flags, chunk)
    const byFile = results.failures().toSorted((one, other) => one.file.localeCompare(other.file))
    const [failing, hook, loading, ...others] = byFile
    expect(others).toEqual([])
    expect(failing).toMatchObject({ file: 'failing.test.ts', title: 'fails', isOutside: false })
    expect(failing?.text).toContain('error: expect(received).toEqual(expected)')
    expect(failing?.text).toMatch(/^\(fail\) fails( \[.*\])?$/m)
    expect(failing?.text).not.toContain('(pass)')
    expect(hook).toMatchObject({ file: 'hook.test.ts', title: 'a group > (unnamed)', isOutside: false })
    expect(hook?.text).toContain('error: in a hook')
    expect(loading).toMatchObject({ isOutside: true })
    expect(loading?.text).toContain('error: while loading')
    const passed = ['passes', 'fails', 'another group > passes', 'a group > (unnamed)', 'another group > (unnamed)']
    expect(passed.map(results.hasPassed)).toEqual([true, false, true, false, true])
  })
})
