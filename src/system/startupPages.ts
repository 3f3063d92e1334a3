import { readFileSync } from 'node:fs'
import { openCLibrary } from './cLibrary.ts'

/** `MADV_DONTNEED` of madvise(2). */
const doNotNeed = 4

/**
 * Gives back the memory of code that only the start has run. The kernel maps a page again from its
 * file cache when it is used. Does nothing outside Linux, or without /proc.
 */
export function releaseStartupPages(): void {
  if (process.platform !== 'linux') return
  try {
    const ranges = unwrittenRanges(readFileSync('/proc/self/smaps', 'utf8'), process.execPath)
    const library = openCLibrary({ madvise: { args: ['u64', 'u64', 'i32'], returns: 'i32' } })
    for (const { start, end } of ranges) library?.madvise(start, end - start, doNotNeed)
  } catch {
    // Without /proc. The pages stay.
  }
}

interface Range {
  readonly start: bigint
  readonly end: bigint
}

/**
 * Returns the parts of a file in memory that cannot be written and have not been: `Anonymous`
 * counts the pages that differ from the file, such as relocated ones.
 */
export function unwrittenRanges(smaps: string, file: string): readonly Range[] {
  return smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).flatMap((mapping) => {
    const [, start, end, path] = /^([0-9a-f]+)-([0-9a-f]+) r-[x-]p \S+ \S+ \d+ +(.*)$/m.exec(mapping) ?? []
    const isUnwritten = /^Anonymous: +0 kB$/m.test(mapping)
    return path === file && isUnwritten ? [{ start: BigInt(`0x${start}`), end: BigInt(`0x${end}`) }] : []
  })
}
