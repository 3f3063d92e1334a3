import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, statfsSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import clusterFile from '../../../dist/embedded/cluster.tar.zst' with { type: 'file' }
import { createDirectory, syncDirectory, syncTree } from './durableDirectory.ts'

const majorVersion = '18'
/** DB_SHUTDOWNED: the cluster was closed with a checkpoint. */
const shutDown = 1

export interface Prepared {
  /** One line for the operator if the directory cannot be used. */
  readonly refusal?: string
  /** Everything in the directory has just been synced. */
  readonly isSynced: boolean
}

/**
 * Creates a cluster in an empty directory, rejects anything unknown, and syncs what a crash left
 * unsynced. Never removes user data: a crash leaves no directory or a whole one. The caller's lock
 * keeps other processes out, so a partial neighbor is a leftover.
 */
export async function prepareDirectory(directory: string): Promise<Prepared> {
  const target = existsSync(directory) ? realpathSync(directory) : resolve(directory)
  try {
    removeLeftovers(target)
    const entries = list(target)
    if (entries === undefined || entries.length === 0) {
      await createCluster(target)
      return { isSynced: true }
    }
    const refusal = refusalOf(target, entries)
    if (refusal !== undefined) return { refusal, isSynced: false }
    // The engine replaces a complete postmaster.pid, but takes an empty one, left by a full disk or
    // a crash, for damage.
    rmSync(join(target, 'postmaster.pid'), { force: true })
    const isSynced = !wasShutDown(target)
    if (isSynced) await syncTree(target)
    return { isSynced }
  } catch (error) {
    const refusal = `cannot use ${target} for the database (${errorCode(error)}). Check that it is writable and that the disk has space`
    return { refusal, isSynced: false }
  }
}

function refusalOf(target: string, entries: readonly string[]): string | undefined {
  if (!entries.includes('PG_VERSION') || !entries.includes('global')) {
    return `${target} is not empty and not a database. Choose another directory, or move its files away`
  }
  const major = readFileSync(join(target, 'PG_VERSION'), 'utf8').trim()
  if (major === majorVersion) return undefined
  const found = /^\d{1,3}$/.test(major) ? `PostgreSQL ${major}` : 'an unknown PostgreSQL'
  return `${target} was written by ${found}, but this program reads ${majorVersion}. Use the program that wrote it`
}

/** Reads the state from pg_control. If it has none, the engine reports the damage. */
function wasShutDown(target: string): boolean {
  const control = join(target, 'global/pg_control')
  const bytes = existsSync(control) ? readFileSync(control) : Buffer.alloc(0)
  return bytes.length < 20 || bytes.readUInt32LE(16) === shutDown
}

function list(directory: string): string[] | undefined {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

const newPrefix = (target: string): string => `${basename(target)}.new-`

function removeLeftovers(target: string): void {
  for (const name of list(dirname(target)) ?? []) {
    if (name.startsWith(newPrefix(target))) rmSync(join(dirname(target), name), { recursive: true, force: true })
  }
}

async function createCluster(target: string): Promise<void> {
  createDirectory(dirname(target))
  const half = join(dirname(target), newPrefix(target) + crypto.randomUUID())
  mkdirSync(half, { mode: 0o700 })
  try {
    const archive = Bun.zstdDecompressSync(await Bun.file(clusterFile).bytes())
    requireRoom(half, archive.length)
    await new Bun.Archive(archive).extract(half)
    await syncTree(half)
    renameSync(half, target)
    syncDirectory(dirname(target))
  } catch (error) {
    rmSync(half, { recursive: true, force: true })
    throw error
  }
}

/** The error of the archive library has no reason. */
function requireRoom(directory: string, bytes: number): void {
  const { bavail, bsize, blocks } = statfsSync(directory)
  if (blocks > 0 && bavail * bsize < bytes) throw Object.assign(new Error('no room'), { code: 'ENOSPC' })
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'it cannot be written'
}
