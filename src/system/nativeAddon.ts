import { ptr } from 'bun:ffi'
import { closeSync, readFileSync, writeSync } from 'node:fs'
import { openCLibrary } from './cLibrary.ts'

/**
 * memfd_create(2): close on exec, and not executable as a program, which mapping code does not
 * need.
 */
const closeOnExec = 1
const notExecutable = 8

/**
 * Loads an embedded native addon and returns its exports. Throws if it cannot. On Linux it is
 * loaded from memory: nothing is written, so that a read-only root and a `noexec` /tmp do not
 * matter.
 */
export function loadNativeAddon(file: string): unknown {
  const loaded: { exports: unknown } = { exports: {} }
  if (process.platform !== 'linux') {
    // Bun unpacks it to the temporary folder.
    process.dlopen(loaded, file)
    return loaded.exports
  }
  const descriptor = createMemoryFile()
  try {
    const bytes = readFileSync(file)
    for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written)
    process.dlopen(loaded, `/proc/self/fd/${descriptor}`)
  } finally {
    closeSync(descriptor)
  }
  return loaded.exports
}

function createMemoryFile(): number {
  const library = openCLibrary({ memfd_create: { args: ['ptr', 'u32'], returns: 'i32' } })
  if (!library) throw new Error('The C library has no memfd_create.')
  const name = ptr(Buffer.from('addon\0'))
  const descriptor = library.memfd_create(name, closeOnExec | notExecutable)
  // Linux before 6.3 does not know the second flag.
  const created = descriptor >= 0 ? descriptor : library.memfd_create(name, closeOnExec)
  if (created < 0) throw new Error('memfd_create failed.')
  return created
}
