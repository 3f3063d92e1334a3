import type { Database } from '../../db/database.ts'
import { AppError } from '../../error.ts'
import type { Recorder } from '../audit/recorder.ts'
import { namesOf } from '../audit/restored.ts'
import { readCheckpoint, writeCheckpoint } from '../transparency/checkpoint.ts'
import { type Tile, widthAt, writeBundle } from '../transparency/tiles.ts'
import { emptyRoot, tileWidth } from '../transparency/tree.ts'
import type { Policy } from '../witnesses/policy.ts'
import { newestWithQuorum } from '../witnesses/quorum.ts'

export interface PublishingDeps {
  readonly database: Pick<Database, 'audit'>
  readonly audit: Recorder
  /** The witnesses that must have cosigned what is published. */
  readonly witnesses?: Policy | undefined
}

/** The checkpoint that the log shows to others. Everything published is below its size. */
export interface PublishedHead {
  readonly origin: string
  readonly size: number
  readonly root: Buffer
  readonly note: string
}

/**
 * Returns the newest checkpoint that the witnesses allow. Throws `unavailable` if this service has
 * not signed the log as it is, and `not_found` if too few witnesses have cosigned it.
 */
export async function publishedHead({ database, audit, witnesses }: PublishingDeps): Promise<PublishedHead> {
  if (audit.inconsistency !== undefined) throw inconsistent()
  const { origin = audit.keys.firstOrigin(), note, ...newest } = await database.audit.newestCheckpoint()
  const signers = audit.keys.signersFor(origin)
  if (note === undefined) {
    if (witnesses) throw notCosigned()
    const empty = { origin, size: 0, root: emptyRoot }
    return { ...empty, note: writeCheckpoint(empty, signers) }
  }
  const checkpoint = readCheckpoint(note, origin, signers)
  if (checkpoint?.size !== newest.size) throw inconsistent()
  if (!witnesses) return { ...checkpoint, note }
  const published = await newestWithQuorum(database, witnesses, audit.keys, origin)
  const cosigned = published && readCheckpoint(published.note, origin, signers)
  if (!cosigned) throw notCosigned()
  return { ...cosigned, note: published.note }
}

function notCosigned(): AppError {
  return new AppError(
    'not_found',
    'No checkpoint of the audit log has the cosignatures that AUDIT_WITNESSES requires yet.',
  )
}

function inconsistent(): AppError {
  return new AppError(
    'unavailable',
    'The audit log in the database is not the one that this service has signed, so it is not published. Run "audittrail audit verify".',
  )
}

/** Returns the content of a tile or entry bundle. Undefined unless the published tree has it. */
export async function readTile(deps: PublishingDeps, tile: Tile): Promise<Buffer | undefined> {
  const { size } = await publishedHead(deps)
  if (tile.width > widthAt(tile, size)) return undefined
  const { audit } = deps.database
  const { level, index, width } = tile
  if (level !== 'entries') {
    const hashes = await readHashes(deps, level, index * tileWidth, width)
    return hashes && Buffer.concat(hashes)
  }
  const first = index * tileWidth
  const entries = await audit.listEntries(first, first + width, width)
  return entries.length === width ? writeBundle(entries.map(({ leaf }) => leaf)) : undefined
}

/** Returns hashes of a level from an index on. Undefined if one is missing. */
export async function readHashes(
  { database: { audit } }: Pick<PublishingDeps, 'database'>,
  level: number,
  from: number,
  count: number,
): Promise<readonly Buffer[] | undefined> {
  const hashes =
    level === 0
      ? await audit.listHashes(from, from + count, count)
      : (await audit.listNodes(level, from, count)).filter(({ index }) => index < from + count).map(({ hash }) => hash)
  return hashes.length === count ? hashes : undefined
}

/** The verifier keys of the log. */
export interface LogKeys {
  /** The key of the current name and SECRET_KEY. */
  readonly current: string
  /** Those of former names, and of each SECRET_KEY_PREVIOUS. */
  readonly former: readonly string[]
}

export async function logKeys({ database, audit: { keys } }: PublishingDeps): Promise<LogKeys> {
  const { origin = keys.firstOrigin() } = await database.audit.newestCheckpoint()
  const [current = '', ...former] = namesOf(origin).flatMap((name) => keys.signersFor(name).map(({ vkey }) => vkey))
  return { current, former }
}
