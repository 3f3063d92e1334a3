import { describe, expect, test } from 'bun:test'
import { existsSync, openSync } from 'node:fs'
import { openOutputStream } from '../../src/system/outputStream.ts'

describe('output stream', () => {
  test.skipIf(!existsSync('/dev/full'))(
    'end() drops text that a full disk does not take, and returns its error code',
    async () => {
      const { write, buffered, end } = openOutputStream(openSync('/dev/full', 'w'))
      write('a list\n')
      expect(await end()).toBe('ENOSPC')
      expect(buffered()).toBe(0)
    },
  )
})
