import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { AppError } from '../../error.ts'

/** A file that appears only once it is complete. */
export interface Output {
  write(text: string): void
  finish(): void
  /** Removes an unfinished file. */
  abandon(): void
}

/**
 * Creates a private file (0600), or uses stdout for `-`. Replaces a file only if `replaces`. Throws
 * `refused`.
 */
export function openOutput(path: string, replaces: boolean): Output {
  if (path === '-') return { write: writeToStandardOutput, finish: () => {}, abandon: () => {} }
  const attempt = <T>(work: () => T): T => {
    try {
      return work()
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      throw new AppError('refused', `Cannot write the file ${JSON.stringify(path)} (${code}).`)
    }
  }
  const requireReplaceable = () => {
    const existing = attempt(() => statSync(path, { throwIfNoEntry: false }))
    // Never replace a device such as /dev/null.
    if (existing && !existing.isFile())
      throw new AppError(
        'refused',
        `${JSON.stringify(path)} is not a regular file and is not replaced. Choose another file, or - for stdout.`,
      )
    if (existing && !replaces)
      throw new AppError('refused', `The file ${JSON.stringify(path)} already exists. Add --force to replace it.`)
  }
  requireReplaceable()
  // A random name: in a container a process id repeats, and a killed process may have left its
  // file.
  const partial = `${path}.${randomBytes(4).toString('hex')}.partial`
  const removePartial = () => rmSync(partial, { force: true })
  // A signal that ends the process runs no `finally`.
  const end = () => {
    removePartial()
    process.exit(1)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.once(signal, end)
  const descriptor = attempt(() => openSync(partial, 'wx', 0o600))
  let isOpen = true
  const close = () => {
    if (isOpen) closeSync(descriptor)
    isOpen = false
  }
  return {
    write: (text) => {
      const bytes = Buffer.from(text)
      for (let written = 0; written < bytes.length; ) written += attempt(() => writeSync(descriptor, bytes, written))
    },
    finish: () => {
      attempt(() => fsyncSync(descriptor))
      close()
      requireReplaceable()
      attempt(() => renameSync(partial, path))
    },
    abandon: () => {
      close()
      removePartial()
      for (const signal of signals) process.off(signal, end)
    },
  }
}

/** Unlike other command output, an export fails if the disk is full or the reader is gone. */
function writeToStandardOutput(text: string): void {
  const bytes = Buffer.from(text)
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(1, bytes, written)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'EAGAIN')
        throw new AppError('refused', `Cannot write to standard output (${code}). Not every user was exported.`)
      Bun.sleepSync(1)
    }
  }
}
