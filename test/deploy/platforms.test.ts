import { describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { findProblem, readExecutable } from '../../deploy/executable.ts'
import { fileName, findPlatform, type Platform, platforms } from '../../deploy/platforms.ts'
import { binary } from '../binary/binary.ts'
import { temporaryDirectory } from '../endOfFile.ts'

const root = join(import.meta.dir, '../..')
const build = (...flags: string[]) =>
  spawnSync(process.execPath, ['deploy/build.ts', ...flags], { cwd: root, encoding: 'utf8' })

/** Just enough of a header to identify the platform. */
function header({ format, architecture }: Platform, interpreter: string): Buffer {
  const bytes = Buffer.alloc(512)
  if (format === 'ELF') {
    bytes.write('\x7fELF', 0, 'latin1')
    bytes.writeUInt16LE(architecture === 'x64' ? 62 : 183, 18)
    bytes.writeBigUInt64LE(64n, 32)
    bytes.writeUInt16LE(56, 54)
    bytes.writeUInt16LE(1, 56)
    bytes.writeUInt32LE(3, 64)
    bytes.writeBigUInt64LE(200n, 72)
    bytes.write(`${interpreter}\0`, 200, 'latin1')
  } else if (format === 'Mach-O') {
    bytes.writeUInt32LE(0xfeedfacf, 0)
    bytes.writeUInt32LE(architecture === 'x64' ? 0x01000007 : 0x0100000c, 4)
  } else {
    bytes.write('MZ', 0, 'latin1')
    bytes.writeUInt32LE(128, 0x3c)
    bytes.write('PE\0\0', 128, 'latin1')
    bytes.writeUInt16LE(architecture === 'x64' ? 0x8664 : 0xaa64, 132)
  }
  return bytes
}

describe('a target', () => {
  test('is accepted with and without the prefix "bun-"', () => {
    for (const platform of platforms) {
      expect(findPlatform(platform.name)).toBe(platform)
      expect(findPlatform(`bun-${platform.name}`)).toBe(platform)
    }
    expect(findPlatform('plan9-x64')).toBeUndefined()
  })

  test('that is unknown exits 2 with one line that lists the known ones', () => {
    const { status, stderr } = build('--target=plan9-x64')
    expect(status).toBe(2)
    expect(stderr).toStartWith('build: Unknown target "plan9-x64". Use one of linux-x64, ')
    expect(stderr.trim().split('\n')).toHaveLength(1)
  })

  test('is not ignored when the flag is misspelled', () => {
    expect(build('--traget=linux-x64')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("Unknown option '--traget'"),
    })
  })

  test('for Windows gets the .exe suffix', () => {
    expect(platforms.map((platform) => fileName('a', platform)).filter((name) => name === 'a.exe')).toHaveLength(1)
  })
})

describe('the header of an executable', () => {
  const interpreters = { glibc: '/lib64/ld-linux-x86-64.so.2', musl: '/lib/ld-musl-x86_64.so.1' }

  test.each(platforms)('identifies $name', (platform) => {
    const interpreter = platform.name.endsWith('-musl') ? interpreters.musl : interpreters.glibc
    const bytes = header(platform, interpreter)
    const { format, architecture } = platform
    expect(readExecutable(bytes)).toEqual({
      format,
      architecture,
      ...(format === 'ELF' ? { interpreter } : {}),
    })
    expect(findProblem(bytes, platform)).toBe('does not contain root/db/embedded/worker.js')
    const others = platforms.filter((other) => other.format !== format || other.architecture !== architecture)
    for (const other of others) expect(findProblem(bytes, other)).toStartWith(`is not ${other.format} for `)
  })

  test('identifies the C library', () => {
    const [glibc, musl] = [findPlatform('linux-x64') as Platform, findPlatform('linux-x64-musl') as Platform]
    expect(findProblem(header(glibc, interpreters.glibc), musl)).toBe(
      `requires the dynamic linker ${interpreters.glibc}`,
    )
    expect(findProblem(header(musl, interpreters.musl), glibc)).toBe(`requires the dynamic linker ${interpreters.musl}`)
  })

  test('of any other file is not recognized', () => {
    expect(readExecutable(Buffer.from('#!/bin/sh\n'.padEnd(80)))).toBeUndefined()
    expect(readExecutable(new Uint8Array(4))).toBeUndefined()
  })
})

describe('a compiled file', () => {
  test('is for this machine by default and carries the embedded database', () => {
    const own = platforms.find(
      ({ system, architecture }) => system === process.platform && architecture === process.arch,
    )
    expect(findProblem(readFileSync(binary), own as Platform)).toBeUndefined()
  })

  // One of seven, to save time. `bun run release` checks each in the same way.
  test('for Windows can be built on any machine', () => {
    const directory = temporaryDirectory('cross')
    try {
      const outfile = join(directory, 'audittrail.exe')
      expect(build('--target=windows-x64', `--outfile=${outfile}`)).toMatchObject({ status: 0 })
      expect(findProblem(readFileSync(outfile), findPlatform('windows-x64') as Platform)).toBeUndefined()
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})
