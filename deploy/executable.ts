import type { Platform } from './platforms.ts'

export interface Executable {
  readonly format: Platform['format']
  readonly architecture: Platform['architecture']
  /** ELF only: the requested dynamic linker, which identifies glibc or musl. */
  readonly interpreter?: string
}

const architectures = {
  ELF: new Map([
    [62, 'x64'],
    [183, 'arm64'],
  ]),
  'Mach-O': new Map([
    [0x01000007, 'x64'],
    [0x0100000c, 'arm64'],
  ]),
  PE: new Map([
    [0x8664, 'x64'],
    [0xaa64, 'arm64'],
  ]),
} as const satisfies Record<Platform['format'], ReadonlyMap<number, Platform['architecture']>>

/** Reads the header of an executable. Returns undefined for formats that we do not build. */
export function readExecutable(file: Uint8Array): Executable | undefined {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength)
  if (bytes.length < 64) return undefined
  if (bytes.readUInt32BE(0) === 0x7f454c46) return readElf(bytes)
  if (bytes.readUInt32LE(0) === 0xfeedfacf) return executable('Mach-O', bytes.readUInt32LE(4))
  const peHeader = bytes.readUInt32LE(0x3c)
  if (bytes.toString('latin1', 0, 2) === 'MZ' && bytes.toString('latin1', peHeader, peHeader + 4) === 'PE\0\0')
    return executable('PE', bytes.readUInt16LE(peHeader + 4))
  return undefined
}

function executable(format: Platform['format'], machine: number): Executable | undefined {
  const architecture = (architectures[format] as ReadonlyMap<number, Platform['architecture']>).get(machine)
  return architecture && { format, architecture }
}

const interpreterSegment = 3

function readElf(bytes: Buffer): Executable | undefined {
  const found = executable('ELF', bytes.readUInt16LE(18))
  const [table, size, count] = [Number(bytes.readBigUInt64LE(32)), bytes.readUInt16LE(54), bytes.readUInt16LE(56)]
  for (let at = table; found && at < table + size * count; at += size) {
    if (bytes.readUInt32LE(at) !== interpreterSegment) continue
    const start = Number(bytes.readBigUInt64LE(at + 8))
    return { ...found, interpreter: bytes.toString('latin1', start, bytes.indexOf(0, start)) }
  }
  return found
}

/** The files that every build embeds, under the names that the bundler gives them. */
const embeddedFiles = [
  'root/db/embedded/worker.js',
  'root/pglite.wasm-',
  'root/pglite.data-',
  'root/cluster.tar-',
  'root/argon2-',
  'root/swagger-ui-bundle.js-',
  'root/swagger-ui.css-',
]

/** Returns what is wrong with a built file in one line; undefined if nothing is. */
export function findProblem(file: Uint8Array, platform: Platform): string | undefined {
  const found = readExecutable(file)
  if (found?.format !== platform.format || found.architecture !== platform.architecture)
    return `is not ${platform.format} for ${platform.architecture} but ${found ? `${found.format} for ${found.architecture}` : 'not an executable'}`
  if (found.format === 'ELF' && found.interpreter?.includes('musl') !== platform.name.endsWith('-musl'))
    return `requires the dynamic linker ${found.interpreter}`
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength)
  const missing = embeddedFiles.find((name) => !bytes.includes(name))
  return missing === undefined ? undefined : `does not contain ${missing}`
}
