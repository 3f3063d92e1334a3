import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fstatSync,
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
import { basename, dirname, join, resolve } from 'node:path'
import { AppError } from '../../error.ts'
import { lockFile } from '../../system/fileLock.ts'
import { type CreatedFiles, enclosingCluster, isServerCluster } from './createdFiles.ts'
import { createDirectory, syncDirectory } from './durableDirectory.ts'

/**
 * Creates DATA_DIR, readable only by its owner. Throws `refused` if that fails, or if it belongs to
 * a PostgreSQL server.
 */
export function createDataDirectory(path: string, created: CreatedFiles): void {
  requireNoCluster(path)
  try {
    created.addDirectories(createDirectory(path), path)
  } catch (error) {
    throw refusedBySystem(`Cannot create DATA_DIR ${JSON.stringify(path)}`, error)
  }
}

/** The embedded database's folder in DATA_DIR. */
export const databaseFolder = 'postgresql'

function requireNoCluster(path: string): void {
  const cluster = enclosingCluster(path)
  const database = join(path, databaseFolder)
  if (cluster === undefined && !isServerCluster(database)) return
  const isOwn = cluster !== undefined && basename(cluster) === databaseFolder && !isServerCluster(cluster)
  const [directory, advice] = isOwn
    ? ['the embedded database itself', `Set it to ${JSON.stringify(dirname(cluster))}`]
    : ['the data directory of a PostgreSQL server', 'Choose another directory, or set DATABASE_URL to use that server']
  const relation = cluster === resolve(path) ? 'is' : cluster === undefined ? 'contains' : 'is inside'
  throw new AppError('refused', `DATA_DIR ${JSON.stringify(path)} ${relation} ${directory}. ${advice}.`)
}

/** Throws `refused` if the directory exists and belongs to another user of this system. */
export function requireOwnFiles(directory: string): void {
  const owner = existsSync(directory) ? statSync(directory).uid : undefined
  const own = process.geteuid?.()
  if (owner === undefined || own === undefined || owner === own) return
  throw new AppError(
    'refused',
    `${JSON.stringify(directory)} belongs to the user with ID ${owner}, but this process runs as ${own}. Run it as that user (setpriv --reuid ${owner} --clear-groups …, sudo -u '#${owner}' …).`,
  )
}

/**
 * Takes an OS lock on DATA_DIR, which ends with the process. (A PID file cannot work: in a
 * container every process is PID 1.) Returns a function that releases it. Throws `refused` with
 * the name of the holder if another process has it.
 */
export function holdDataDirectory(path: string, created: CreatedFiles, attempts = 3): () => void {
  const file = join(path, 'lock')
  const isNew = !existsSync(file)
  let descriptor: number
  try {
    descriptor = openSync(file, 'a+', 0o600)
  } catch (error) {
    throw refusedBySystem(`Cannot write to DATA_DIR ${JSON.stringify(path)}`, error)
  }
  if (!lockFile(descriptor, file)) {
    const holder = readFileSync(file, 'utf8').trim()
    closeSync(descriptor)
    throw new AppError(
      'refused',
      `DATA_DIR ${JSON.stringify(path)} is in use by another AuditTrail${holder && ` (${holder})`}. Stop it, or set DATA_DIR to another directory.`,
    )
  }
  // A process whose start failed may have removed the file before it was locked here. Not every
  // file system has inode numbers that compare, so give up after a few attempts.
  const isRemoved = () => statSync(file, { throwIfNoEntry: false })?.ino !== fstatSync(descriptor).ino
  if (attempts > 1 && process.platform !== 'win32' && isRemoved()) {
    closeSync(descriptor)
    return holdDataDirectory(path, created, attempts - 1)
  }
  if (isNew) created.addFile(file)
  nameHolder(descriptor)
  removeDrafts(path)
  return () => closeSync(descriptor)
}

/** For the error message of others. The lock works without it, on a full disk too. */
function nameHolder(descriptor: number): void {
  try {
    ftruncateSync(descriptor)
    writeSync(descriptor, `process ${process.pid} on ${hostname()}\n`)
  } catch {}
}

/**
 * Removes drafts of secret.key that a killed process left. Only the holder of the lock creates the
 * key.
 */
function removeDrafts(path: string): void {
  for (const name of readdirSync(path)) {
    if (name.startsWith('secret.key.')) rmSync(join(path, name), { force: true })
  }
}

/**
 * Returns the key in DATA_DIR/secret.key, created on first use. Of several concurrent starts one
 * creates it and all read it: the file appears complete or not at all.
 */
export function readOrCreateSecretKey(path: string, created: CreatedFiles): string {
  const file = join(path, 'secret.key')
  if (!existsSync(file)) {
    try {
      createSecretKey(file, created)
    } catch (error) {
      throw refusedBySystem(`SECRET_KEY is not set, and a key cannot be stored in ${JSON.stringify(file)}`, error)
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
    `${JSON.stringify(file)} has fewer than 32 bytes. Restore it, or delete it and run "audittrail key reset", which ends all sessions.`,
  )
}

function createSecretKey(file: string, created: CreatedFiles): void {
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  const descriptor = openSync(draft, 'wx', 0o600)
  try {
    writeSync(descriptor, `${randomBytes(32).toString('hex')}\n`)
    fsyncSync(descriptor)
    // Unlike a rename, a link does not replace a file that another process has created.
    linkSync(draft, file)
    created.addFile(file)
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
      ? 'Free disk space and start again'
      : 'Check the path and its permissions, or choose another directory'
  return new AppError('refused', `${what} (${code}). ${advice}.`, { cause: error })
}
