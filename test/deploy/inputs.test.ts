import { describe, expect, test } from 'bun:test'
import { mkdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { digestOfInputs, isUpToDate, stampOf } from '../../deploy/inputs.ts'
import { temporaryDirectory } from '../endOfFile.ts'

const root = join(import.meta.dir, '../..')

function project(): string {
  const directory = temporaryDirectory('inputs')
  for (const folder of ['src/http', 'drizzle', 'dist']) mkdirSync(join(directory, folder), { recursive: true })
  writeFileSync(join(directory, 'src/main.ts'), 'a')
  writeFileSync(join(directory, 'src/http/page.css'), 'b')
  writeFileSync(join(directory, 'bun.lock'), 'c')
  writeFileSync(join(directory, 'dist/audittrail'), 'binary')
  return directory
}

describe('the inputs of a build', () => {
  test.each<[string, (directory: string) => void]>([
    ['a changed file', (directory) => writeFileSync(join(directory, 'src/main.ts'), 'changed')],
    ['a changed page', (directory) => writeFileSync(join(directory, 'src/http/page.css'), 'changed')],
    ['a new file', (directory) => writeFileSync(join(directory, 'drizzle/0001.sql'), '')],
    ['a removed file', (directory) => rmSync(join(directory, 'src/http/page.css'))],
    ['a renamed file', (directory) => renameSync(join(directory, 'src/main.ts'), join(directory, 'src/m.ts'))],
    ['another lock file', (directory) => writeFileSync(join(directory, 'bun.lock'), 'changed')],
  ])('have another digest after %s', (_what, change) => {
    const directory = project()
    const before = digestOfInputs(directory)
    expect(digestOfInputs(directory)).toBe(before)
    change(directory)
    expect(digestOfInputs(directory)).not.toBe(before)
  })

  test('have the same digest after a file was only touched, or the output changed', () => {
    const directory = project()
    const before = digestOfInputs(directory)
    utimesSync(join(directory, 'src/main.ts'), 1, 1)
    writeFileSync(join(directory, 'dist/audittrail'), 'another')
    expect(digestOfInputs(directory)).toBe(before)
  })

  test('are stamped with the executable, so that another one in its place is replaced', () => {
    const directory = project()
    const [executable, stamp] = ['dist/audittrail', join(directory, 'dist/stamp')]
    expect(isUpToDate(directory, executable, stamp)).toBe(false)
    writeFileSync(stamp, stampOf(directory, executable))
    expect(isUpToDate(directory, executable, stamp)).toBe(true)
    writeFileSync(join(directory, executable), 'another')
    expect(isUpToDate(directory, executable, stamp)).toBe(false)
    rmSync(join(directory, executable))
    expect(isUpToDate(directory, executable, stamp)).toBe(false)
  })
})

test('bun start builds only if an input has changed', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  expect(scripts.start).toContain('bun deploy/build.ts --if-changed && ')
})
