import { constants } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError } from '../error.ts'
import { lockFile } from './fileLock.ts'

/** A file that only this process appends to. */
export interface AppendedFile {
  /** Resolves once the text is on disk. Throws `refused`, or the error of the system. */
  append(text: string): Promise<void>
  /** Whether it was moved or removed since, as logrotate does. */
  isMoved(): Promise<boolean>
  close(): Promise<void>
}

const { O_APPEND, O_CREAT, O_RDWR, O_NONBLOCK = 0 } = constants

/** Characters. */
const longestLine = 65_536

/** Opens the file on first use, and again after it was moved, so that it can be rotated. */
export function appendedFile(path: string): AppendedFile {
  let opened: FileHandle | undefined

  async function close(): Promise<void> {
    const handle = opened
    opened = undefined
    await handle?.close()
  }

  async function current(): Promise<FileHandle> {
    if (opened && (await isAt(opened, path))) return opened
    await close()
    opened = await openAppended(path)
    return opened
  }

  return {
    append: async (text) => {
      const handle = await current()
      const { size } = await handle.stat()
      try {
        await handle.appendFile(text)
        await handle.sync()
      } catch (error) {
        // Half of the text must not stay. A disk in this state may fail at that too.
        await handle.truncate(size).catch(() => {})
        await close().catch(() => {})
        throw error
      }
    },
    isMoved: async () => opened !== undefined && !(await isAt(opened, path)),
    close,
  }
}

async function isAt(handle: FileHandle, path: string): Promise<boolean> {
  const [own, there] = await Promise.all([handle.stat(), stat(path).catch(() => undefined)])
  return own.ino === there?.ino && own.dev === there.dev
}

async function openAppended(path: string): Promise<FileHandle> {
  // Non-blocking, since to open a pipe would wait for its reader.
  const handle = await open(path, O_RDWR | O_APPEND | O_CREAT | O_NONBLOCK, 0o644)
  try {
    const { size } = await requireFile(handle)
    if (!lockFile(handle.fd, path)) throw new AppError('refused', 'Another process appends to this file.')
    if (size === 0) await syncDirectory(dirname(path))
    else if ((await readEnd(handle, size, 2)).toString() !== '\n\n') await handle.appendFile('\n\n')
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** Returns the last bytes of a file. Undefined if it does not exist. */
export async function readEndOf(path: string, length: number): Promise<Buffer | undefined> {
  let handle: FileHandle
  try {
    handle = await open(path, constants.O_RDONLY | O_NONBLOCK)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    const { size } = await requireFile(handle)
    return await readEnd(handle, size, length)
  } finally {
    await handle.close()
  }
}

/** Yields the lines of a file. Cuts a line that no text has. */
export async function* linesOf(path: string): AsyncGenerator<string> {
  const handle = await open(path, constants.O_RDONLY | O_NONBLOCK)
  try {
    await requireFile(handle)
    const decoder = new TextDecoder()
    const buffer = Buffer.alloc(65_536)
    let rest = ''
    for (let position = 0; ; ) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, position)
      if (bytesRead === 0) break
      position += bytesRead
      const lines = (rest + decoder.decode(buffer.subarray(0, bytesRead), { stream: true })).split('\n')
      rest = (lines.pop() ?? '').slice(0, longestLine)
      yield* lines
    }
    if (rest !== '') yield rest
  } finally {
    await handle.close()
  }
}

async function requireFile(handle: FileHandle) {
  const found = await handle.stat()
  if (!found.isFile()) throw new AppError('refused', 'It is not a file.')
  return found
}

async function readEnd(handle: FileHandle, size: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(Math.min(size, length))
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, size - buffer.length)
  return buffer.subarray(0, bytesRead)
}

/** A new file survives a crash once its directory is on disk. Windows has no such call. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const directory = await open(path)
  await directory.sync().finally(() => directory.close())
}
