import { dlopen, type FFIFunction, type Library } from 'bun:ffi'

/** The C library of this system: glibc, musl or that of macOS. */
export const cLibraries: readonly string[] =
  process.platform === 'darwin'
    ? ['libSystem.B.dylib']
    : ['libc.so.6', `libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`, 'libc.so']

/** Returns functions that neither Node nor Bun offers. Undefined if no C library has them. */
export function openCLibrary<Functions extends Record<string, FFIFunction>>(
  functions: Functions,
): Library<Functions>['symbols'] | undefined {
  for (const library of cLibraries) {
    try {
      return dlopen(library, functions).symbols
    } catch {
      // Not this C library. Try the next.
    }
  }
  return undefined
}
