import { closeSync, mkdirSync, openSync, readdirSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { AppError } from '../../error.ts'

export interface OutputDirectory {
  /** Creates a file, or appends to one that this has created. */
  write(path: string, content: Uint8Array): void
  close(): void
}

/**
 * Creates a directory, or uses an empty one. Its files in `isPrivate` are for the owner alone.
 * Throws `refused`.
 */
export function openOutputDirectory(directory: string, isPrivate: (path: string) => boolean): OutputDirectory {
  makeDirectory(directory)
  const names = attempt(directory, () => readdirSync(directory))
  if (names.length > 0)
    throw new AppError('refused', `The directory ${JSON.stringify(directory)} is not empty. Choose another one.`)
  const folders = new Set<string>()
  let open: { readonly path: string; readonly descriptor: number } | undefined
  const written = new Set<string>()
  const close = () => {
    if (open) closeSync(open.descriptor)
    open = undefined
  }
  const openFile = (path: string) => {
    close()
    const file = join(directory, path)
    const folder = dirname(file)
    if (!folders.has(folder)) mkdirSync(folder, { recursive: true })
    folders.add(folder)
    // Never follows a link that someone has put there.
    const descriptor = openSync(file, written.has(path) ? 'a' : 'wx', isPrivate(path) ? 0o600 : 0o666)
    written.add(path)
    open = { path, descriptor }
    return descriptor
  }
  return {
    write: (path, content) =>
      attempt(join(directory, path), () => {
        const descriptor = open?.path === path ? open.descriptor : openFile(path)
        for (let done = 0; done < content.length; ) done += writeSync(descriptor, content, done)
      }),
    close,
  }
}

/** Creates a directory unless it exists. Throws `refused`. */
export function makeDirectory(directory: string): void {
  attempt(directory, () => mkdirSync(directory, { recursive: true }))
}

function attempt<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new AppError('refused', `Cannot write ${JSON.stringify(path)} (${code}).`)
  }
}
