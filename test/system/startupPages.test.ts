import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { $ } from 'bun'
import { unwrittenRanges } from '../../src/system/startupPages.ts'

const mapping = (range: string, permissions: string, path: string, anonymous: number) =>
  `${range} ${permissions} 00000000 fe:00 1043 ${path}\nSize: 80 kB\nRss: 40 kB\nAnonymous: ${anonymous} kB\nVmFlags: rd mr\n`

describe('unwrittenRanges', () => {
  test('returns only what is of the file, cannot be written and was not relocated', () => {
    const smaps = [
      mapping('00200000-00300000', 'r--p', '                 /usr/bin/a b', 0),
      mapping('00300000-00400000', 'r-xp', '                 /usr/bin/a b', 0),
      mapping('00400000-00500000', 'r--p', '                 /usr/bin/a b', 12),
      mapping('00500000-00600000', 'rw-p', '                 /usr/bin/a b', 0),
      mapping('7f00000000-7f00100000', 'r-xp', '                 /usr/lib/libc.so.6', 0),
      mapping('7f00200000-7f00300000', 'r--p', '', 0),
    ].join('')
    expect(unwrittenRanges(smaps, '/usr/bin/a b')).toEqual([
      { start: 0x200000n, end: 0x300000n },
      { start: 0x300000n, end: 0x400000n },
    ])
  })
})

/** Prints the megabytes of files that the process has mapped, before and after. */
const program = `
  import { readFileSync } from 'node:fs'
  import { releaseStartupPages } from './src/system/startupPages.ts'
  const megabytes = () => Number(/^RssFile:\\s+(\\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024
  const before = megabytes()
  releaseStartupPages()
  console.log(JSON.stringify({ before, after: megabytes() }))`

// In a process of its own: in one that runs other tests, the pages may be gone before.
test.skipIf(process.platform !== 'linux')(
  'releasing the pages of the start frees memory, and the program goes on',
  async () => {
    const root = join(import.meta.dir, '../..')
    const output = await $`${process.execPath} -e ${program}`.cwd(root).json()
    expect(output.after).toBeLessThan(output.before - 5)
  },
)
