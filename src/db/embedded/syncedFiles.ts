import { existsSync, fdatasyncSync, fstatSync, fsyncSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { PGlite } from '@electric-sql/pglite'
import { NodeFS } from '@electric-sql/pglite/nodefs'

/**
 * What the thread and the one that watches it share. `progress` goes up by one when the thread asks something of the
 * disk and by one when it has the answer, so that it is odd while the thread waits. `abandoned` is how many sessions the
 * thread must have ended before it does again what it is asked.
 */
export const diskField = { progress: 0, abandoned: 1 } as const
export type DiskState = Int32Array<SharedArrayBuffer>

export function newDiskState(): DiskState {
  return new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT))
}

/** What a disk says when it will not go on: PostgreSQL expects none of these, and answers some by trying for ever. */
const refusals: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: make room and start again',
  EDQUOT: 'the disk quota is used up: make room and start again',
  EROFS: 'the file system is read-only: look why, make it writable and start again',
  EIO: 'the disk reports an input/output error: look at the system log before starting again',
  ESTALE: 'the file system has gone away: mount it and start again',
  ENXIO: 'the disk has gone away: look at the system log before starting again',
  // On Windows a scanner of viruses may hold a file for a moment, and the engine tries again.
  ...(process.platform === 'win32'
    ? {}
    : { EACCES: 'a file cannot be opened (EACCES): give the directory and all in it to the user who runs this' }),
}

const gone = 'its directory was removed or moved away: put it back and start again'
/** EIO as the engine numbers it. */
const ioError = 29

interface Node {
  readonly name: string
  readonly parent: Node
  readonly mode: number
}

interface Stream {
  readonly node: Node
  /** The descriptor that the operating system gave. */
  readonly nfd: number
}

/** As much as is needed here of the emscripten file system that PGlite's NodeFS mounts. */
interface HostFiles {
  readonly node_ops: {
    setattr(node: Node, attributes: unknown): void
    mknod(parent: Node, name: string, mode: number, device: number): Node
    rename(node: Node, parent: Node, name: string): void
    unlink(parent: Node, name: string): void
    rmdir(parent: Node, name: string): void
    symlink(parent: Node, name: string, target: string): void
  }
  readonly stream_ops: {
    setattr(stream: Stream, attributes: unknown): void
    write(stream: Stream, buffer: unknown, offset: number, length: number, position: number): number
    fsync?: (stream: Stream) => number
  }
  realPath(node: Node): string
  /** Runs one call to the operating system; every one goes through here. Turns its errors into the engine's. */
  tryFSOperation<T>(operation: () => T): T
}

export interface HostOptions {
  /** Tells whoever watches when the thread waits for the disk. */
  readonly disk: DiskState
  /** While it says yes, what the engine has not changed itself is on the disk. */
  readonly isUntouched: () => boolean
  /** Called with the reason, once, when the disk refuses, or when the directory is no longer the one that was opened. */
  readonly onRefusal: (reason: string) => void
}

/**
 * The engine's files in `directory`, as PGlite's own NodeFS has them, and what that lacks: what the engine syncs reaches the
 * disk, and what the disk does is told.
 */
export function hostFiles(directory: string, options: HostOptions): NodeFS {
  const files = new NodeFS(directory)
  const init = files.init.bind(files)
  files.init = (engine: PGlite, given) => {
    const furnish = (module: object) => {
      const host = (module as { NODEFS: HostFiles }).NODEFS
      const refuse = watchCalls(host, directory, options)
      syncFiles(host, noteChanges(host, options.isUntouched), refuse)
    }
    return init(engine, { ...given, preRun: [...(given.preRun ?? []), furnish] })
  }
  return files
}

/** Has every call to the operating system looked at. Answers how to give up for another reason. */
function watchCalls(host: HostFiles, directory: string, { disk, onRefusal }: HostOptions): (reason: string) => void {
  let isRefused = false
  const refuse = (reason: string): void => {
    if (!isRefused) onRefusal(reason)
    isRefused = true
  }

  const { tryFSOperation } = host
  host.tryFSOperation = (operation) =>
    tryFSOperation(() => {
      Atomics.add(disk, diskField.progress, 1)
      try {
        return operation()
      } catch (error) {
        const { code = '' } = error as NodeJS.ErrnoException
        const reason = code === 'ENOENT' && !existsSync(join(directory, 'PG_VERSION')) ? gone : refusals[code]
        if (reason !== undefined) refuse(reason)
        throw error
      } finally {
        Atomics.add(disk, diskField.progress, 1)
      }
    })

  const { write } = host.stream_ops
  host.stream_ops.write = (stream, buffer, offset, length, position) => {
    const written = write(stream, buffer, offset, length, position)
    // A file takes less than it is given only when the disk has no more room.
    if (written < length) refuse(refusals.ENOSPC ?? '')
    return written
  }
  return refuse
}

/**
 * After a crash the engine syncs each file before it looks at the first, one after the other. These were synced just before,
 * many at a time, so that only what it changes itself while it opens needs it. Answers whether a file or directory does.
 */
function noteChanges(
  { node_ops, stream_ops, realPath }: HostFiles,
  isUntouched: () => boolean,
): (node: Node) => boolean {
  const changed = new Set<string>()
  const note = (...nodes: readonly Node[]): void => {
    if (isUntouched()) for (const node of nodes) changed.add(realPath(node))
  }

  const { setattr, mknod, rename, unlink, rmdir, symlink } = node_ops
  node_ops.setattr = (node, attributes) => {
    note(node)
    setattr(node, attributes)
  }
  node_ops.mknod = (parent, ...rest) => {
    const node = mknod(parent, ...rest)
    note(parent, node)
    return node
  }
  node_ops.rename = (node, parent, name) => {
    note(node.parent, parent)
    rename(node, parent, name)
    if (isUntouched()) changed.add(join(realPath(parent), name))
  }
  node_ops.unlink = (parent, name) => {
    note(parent)
    unlink(parent, name)
  }
  node_ops.rmdir = (parent, name) => {
    note(parent)
    rmdir(parent, name)
  }
  node_ops.symlink = (parent, ...rest) => {
    note(parent)
    symlink(parent, ...rest)
  }
  const { setattr: setStreamAttributes, write } = stream_ops
  stream_ops.setattr = (stream, attributes) => {
    note(stream.node)
    setStreamAttributes(stream, attributes)
  }
  stream_ops.write = (stream, ...rest) => {
    note(stream.node)
    return write(stream, ...rest)
  }
  return (node) => !isUntouched() || changed.has(realPath(node))
}

function syncFiles(host: HostFiles, needsSync: (node: Node) => boolean, refuse: (reason: string) => void): void {
  host.stream_ops.fsync = ({ node, nfd }) => {
    const isDirectory = (node.mode & typeBits) === directoryBits
    if (isDirectory && process.platform === 'win32') return 0 // Windows syncs files alone
    if (!needsSync(node)) return 0
    return host.tryFSOperation(() => {
      // As PostgreSQL does where it can choose: of the log, contents and length must be on the disk, the times need not.
      if (isDirectory || node.parent.name !== 'pg_wal') {
        fsyncSync(nfd)
        return 0
      }
      fdatasyncSync(nfd)
      // Synced, but to a file that nobody will find again: that commit must not be acknowledged.
      if (isAt(host.realPath(node), nfd)) return 0
      refuse(gone)
      return ioError
    })
  }
}

const typeBits = 0o170000
const directoryBits = 0o040000

function isAt(path: string, descriptor: number): boolean {
  const found = statSync(path, { throwIfNoEntry: false })
  const open = fstatSync(descriptor)
  return found !== undefined && found.ino === open.ino && found.dev === open.dev
}
