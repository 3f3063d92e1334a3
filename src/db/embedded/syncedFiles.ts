import { existsSync, fdatasyncSync, fstatSync, fsyncSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { PGlite } from '@electric-sql/pglite'
import { NodeFS } from '@electric-sql/pglite/nodefs'

/**
 * Shared by the engine's thread and its watchdog. `progress` increases before and after each system
 * call, so it is odd during one. `requiredEnds` is the number of sessions that the thread must have
 * ended before it works again.
 */
export const diskField = { progress: 0, requiredEnds: 1 } as const
export type DiskState = Int32Array<SharedArrayBuffer>

export function newDiskState(): DiskState {
  return new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT))
}

/** Fatal disk errors. PostgreSQL expects none of them and retries some forever. */
const refusals: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full. Free disk space and start again',
  EDQUOT: 'the disk quota is used up. Free disk space and start again',
  EROFS: 'the file system is read-only. Make it writable and start again',
  EIO: 'the disk reports an I/O error. Check the system log before starting again',
  ESTALE: 'the file system is gone. Mount it and start again',
  ENXIO: 'the disk is gone. Check the system log before starting again',
  // On Windows a virus scanner may lock a file briefly, and the engine retries.
  ...(process.platform === 'win32'
    ? {}
    : {
        EACCES: 'a file cannot be opened (EACCES). Give the directory and its files to the user that runs AuditTrail',
      }),
}

const directoryRemoved = 'its directory was removed or moved away. Put it back and start again'
/** The engine's number for EIO. */
const ioError = 29

interface Node {
  readonly name: string
  readonly parent: Node
  readonly mode: number
}

interface Stream {
  readonly node: Node
  /** The descriptor of the operating system. */
  readonly nfd: number
}

/** The part of Emscripten's file system, as mounted by PGlite's NodeFS, that is used here. */
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
  /** Runs one system call; all of them go through here. Converts errors to the engine's. */
  tryFSOperation<T>(operation: () => T): T
}

export interface HostOptions {
  /** Reports to the watchdog when the thread waits for the disk. */
  readonly disk: DiskState
  /** While it returns true, everything that the engine has not changed itself is on the disk. */
  readonly isUntouched: () => boolean
  /**
   * Called once, with the reason, if the disk fails or the directory is not the one that was
   * opened.
   */
  readonly onRefusal: (reason: string) => void
}

/**
 * PGlite's NodeFS on `directory`, plus what it lacks: syncs of the engine reach the disk, and disk
 * errors are reported.
 */
export function hostFiles(directory: string, options: HostOptions): NodeFS {
  const files = new NodeFS(directory)
  const init = files.init.bind(files)
  files.init = (engine: PGlite, settings) => {
    const extend = (module: object) => {
      const host = (module as { NODEFS: HostFiles }).NODEFS
      const refuse = watchCalls(host, directory, options)
      syncFiles(host, trackChanges(host, options.isUntouched), refuse)
    }
    return init(engine, { ...settings, preRun: [...(settings.preRun ?? []), extend] })
  }
  return files
}

/** Wraps every system call. Returns a function that reports another fatal error. */
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
        const reason =
          code === 'ENOENT' && !existsSync(join(directory, 'PG_VERSION')) ? directoryRemoved : refusals[code]
        if (reason !== undefined) refuse(reason)
        throw error
      } finally {
        Atomics.add(disk, diskField.progress, 1)
      }
    })

  const { write } = host.stream_ops
  host.stream_ops.write = (stream, buffer, offset, length, position) => {
    const written = write(stream, buffer, offset, length, position)
    // A short write means that the disk is full.
    if (written < length) refuse(refusals.ENOSPC ?? '')
    return written
  }
  return refuse
}

/**
 * After a crash the engine syncs each file, one after the other, before it reads any. These were
 * just synced in parallel, so only its own changes need it. Returns whether a file or directory
 * needs a sync.
 */
function trackChanges(
  { node_ops, stream_ops, realPath }: HostFiles,
  isUntouched: () => boolean,
): (node: Node) => boolean {
  const changed = new Set<string>()
  const track = (...nodes: readonly Node[]): void => {
    if (isUntouched()) for (const node of nodes) changed.add(realPath(node))
  }

  const { setattr, mknod, rename, unlink, rmdir, symlink } = node_ops
  node_ops.setattr = (node, attributes) => {
    track(node)
    setattr(node, attributes)
  }
  node_ops.mknod = (parent, ...rest) => {
    const node = mknod(parent, ...rest)
    track(parent, node)
    return node
  }
  node_ops.rename = (node, parent, name) => {
    track(node.parent, parent)
    rename(node, parent, name)
    if (isUntouched()) changed.add(join(realPath(parent), name))
  }
  node_ops.unlink = (parent, name) => {
    track(parent)
    unlink(parent, name)
  }
  node_ops.rmdir = (parent, name) => {
    track(parent)
    rmdir(parent, name)
  }
  node_ops.symlink = (parent, ...rest) => {
    track(parent)
    symlink(parent, ...rest)
  }
  const { setattr: setStreamAttributes, write } = stream_ops
  stream_ops.setattr = (stream, attributes) => {
    track(stream.node)
    setStreamAttributes(stream, attributes)
  }
  stream_ops.write = (stream, ...rest) => {
    track(stream.node)
    return write(stream, ...rest)
  }
  return (node) => !isUntouched() || changed.has(realPath(node))
}

function syncFiles(host: HostFiles, needsSync: (node: Node) => boolean, refuse: (reason: string) => void): void {
  host.stream_ops.fsync = ({ node, nfd }) => {
    const isDirectory = (node.mode & typeBits) === directoryBits
    if (isDirectory && process.platform === 'win32') return 0 // Windows syncs only files.
    if (!needsSync(node)) return 0
    return host.tryFSOperation(() => {
      // As in PostgreSQL: the contents and length of the WAL must be on the disk, the timestamps
      // need not.
      if (isDirectory || node.parent.name !== 'pg_wal') {
        fsyncSync(nfd)
        return 0
      }
      fdatasyncSync(nfd)
      // Synced to a file that can no longer be found: that commit must not be acknowledged.
      if (isOpenedAs(host.realPath(node), nfd)) return 0
      refuse(directoryRemoved)
      return ioError
    })
  }
}

const typeBits = 0o170000
const directoryBits = 0o040000

function isOpenedAs(path: string, descriptor: number): boolean {
  const found = statSync(path, { throwIfNoEntry: false })
  const open = fstatSync(descriptor)
  return found !== undefined && found.ino === open.ino && found.dev === open.dev
}
