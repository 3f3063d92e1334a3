import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { AppError } from '../../error.ts'

/** A file that is there when it is whole, and not before. */
export interface Output {
  write(text: string): void
  finish(): void
  /** Leaves nothing behind of what was not finished. */
  abandon(): void
}

/** A new file for its owner alone (0600), or standard output for `-`. Throws `refused`; another one is replaced if `replaces`. */
export function openOutput(path: string, replaces: boolean): Output {
  if (path === '-') return { write: writeToStandardOutput, finish: () => {}, abandon: () => {} }
  const attempt = <T>(work: () => T): T => {
    try {
      return work()
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      throw new AppError('refused', `The file ${JSON.stringify(path)} cannot be written (${code}).`)
    }
  }
  const refuseOther = () => {
    const there = attempt(() => statSync(path, { throwIfNoEntry: false }))
    // Whoever may write in /dev could lose /dev/null.
    if (there && !there.isFile())
      throw new AppError(
        'refused',
        `${JSON.stringify(path)} is no ordinary file, and is not replaced: name another one, or - for standard output.`,
      )
    if (there && !replaces)
      throw new AppError('refused', `The file ${JSON.stringify(path)} is there already: --force replaces it.`)
  }
  refuseOther()
  // Of a container's processes each has the number that the one before it had, whose file may have been left by a kill -9.
  const partial = `${path}.${randomBytes(4).toString('hex')}.partial`
  const leave = () => rmSync(partial, { force: true })
  // A signal that ends the process runs no `finally`. Heard before there is a file.
  const end = () => {
    leave()
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
      refuseOther()
      attempt(() => renameSync(partial, path))
    },
    abandon: () => {
      close()
      leave()
      for (const signal of signals) process.off(signal, end)
    },
  }
}

/** Unlike what a command prints for a person, this has failed where it is not taken: by a disk that is full, or a reader that is gone. */
function writeToStandardOutput(text: string): void {
  const bytes = Buffer.from(text)
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(1, bytes, written)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'EAGAIN')
        throw new AppError('refused', `Standard output cannot be written (${code}): not every user has been exported.`)
      Bun.sleepSync(1)
    }
  }
}
