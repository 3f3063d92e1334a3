import { dlopen, type FFIFunction, type Library } from 'bun:ffi'

/** The C library of this system: glibc's, musl's, or that of macOS. */
export const cLibraries: readonly string[] =
  process.platform === 'darwin'
    ? ['libSystem.B.dylib']
    : ['libc.so.6', `libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`, 'libc.so']

/** Functions that neither Node's API nor Bun's has; undefined where no C library with them is found. */
export function openCLibrary<Functions extends Record<string, FFIFunction>>(
  functions: Functions,
): Library<Functions>['symbols'] | undefined {
  for (const library of cLibraries) {
    try {
      return dlopen(library, functions).symbols
    } catch {
      // Not this C library; the next.
    }
  }
  return undefined
}
