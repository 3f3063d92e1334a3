import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { AppError } from '../../error.ts'
import { lockFile } from '../../system/fileLock.ts'
import { makeDirectory, syncDirectory } from './durableDirectory.ts'

/** Makes DATA_DIR, readable by its owner alone. Throws `refused` where it cannot be had. */
export function makeDataDirectory(path: string): void {
  try {
    makeDirectory(path)
  } catch (error) {
    throw refusedBySystem(`DATA_DIR ${JSON.stringify(path)} cannot be made`, error)
  }
}

/** Throws `refused` where a directory exists and belongs to another user of this system. */
export function refuseOthersFiles(directory: string): void {
  const owner = existsSync(directory) ? statSync(directory).uid : undefined
  const own = process.geteuid?.()
  if (owner === undefined || own === undefined || owner === own) return
  throw new AppError(
    'refused',
    `${JSON.stringify(directory)} belongs to the user with id ${owner}, and this process runs as ${own}: run it as that user (setpriv --reuid ${owner} --clear-groups …, sudo -u '#${owner}' …).`,
  )
}

/**
 * Holds DATA_DIR for this process by a lock of the operating system, which ends with the process however it ends.
 * (A PID file would not do: in a container every process is PID 1.) Answers how to let go; throws `refused` with the
 * holder's name while another process has it.
 */
export function holdDataDirectory(path: string): () => void {
  const file = join(path, 'lock')
  let descriptor: number
  try {
    descriptor = openSync(file, 'a+', 0o600)
  } catch (error) {
    throw refusedBySystem(`DATA_DIR ${JSON.stringify(path)} cannot be written`, error)
  }
  if (!lockFile(descriptor, file)) {
    const holder = readFileSync(file, 'utf8').trim()
    closeSync(descriptor)
    throw new AppError(
      'refused',
      `DATA_DIR ${JSON.stringify(path)} is held by another AuditTrail${holder && ` (${holder})`}: stop that one, or set DATA_DIR to another directory.`,
    )
  }
  nameHolder(descriptor)
  removeDrafts(path)
  return () => closeSync(descriptor)
}

/** For whoever is refused; the lock holds without it, on a full disk too. */
function nameHolder(descriptor: number): void {
  try {
    ftruncateSync(descriptor)
    writeSync(descriptor, `process ${process.pid} on ${hostname()}\n`)
  } catch {}
}

/** Keys that were to become secret.key when a process was killed. Who holds the lock makes the only one. */
function removeDrafts(path: string): void {
  for (const name of readdirSync(path)) {
    if (name.startsWith('secret.key.')) rmSync(join(path, name), { force: true })
  }
}

/**
 * The key in DATA_DIR/secret.key, made on first use. Of several processes that start at once one makes it and all
 * read it: the file appears whole or not at all.
 */
export function readOrMakeSecretKey(path: string): string {
  const file = join(path, 'secret.key')
  if (!existsSync(file)) {
    try {
      makeSecretKey(file)
    } catch (error) {
      throw refusedBySystem(`SECRET_KEY is not set, and ${JSON.stringify(file)} cannot be made to keep one`, error)
    }
  }
  try {
    return readSecretKey(file)
  } catch (error) {
    throw refusedBySystem(`${JSON.stringify(file)} cannot be read`, error)
  }
}

function readSecretKey(file: string): string {
  const key = readFileSync(file, 'utf8').trim()
  if (Buffer.byteLength(key) >= 32) return key
  throw new AppError(
    'refused',
    `${JSON.stringify(file)} holds less than 32 bytes: restore it, or delete it and run "audittrail key reset", and everybody signs in anew.`,
  )
}

function makeSecretKey(file: string): void {
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  const descriptor = openSync(draft, 'wx', 0o600)
  try {
    writeSync(descriptor, `${randomBytes(32).toString('hex')}\n`)
    fsyncSync(descriptor)
    // Unlike a rename, a link does not replace what another process has made meanwhile.
    linkSync(draft, file)
    syncDirectory(dirname(file))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    closeSync(descriptor)
    rmSync(draft, { force: true })
  }
}

function refusedBySystem(what: string, error: unknown): AppError {
  if (error instanceof AppError) return error
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
  const advice =
    code === 'ENOSPC' || code === 'EDQUOT'
      ? 'make room on the disk and start again'
      : 'check the path and its permissions, or name another place'
  return new AppError('refused', `${what} (${code}): ${advice}.`, { cause: error })
}
