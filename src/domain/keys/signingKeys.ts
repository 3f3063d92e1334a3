import { type Algorithm, algorithms } from '../../algorithms.ts'
import type { SigningKeyRow, StoredSigningKeys } from '../../db/statements/signingKeys.ts'
import { AppError } from '../../error.ts'
import { fingerprintOf } from '../../secretKeys.ts'
import type { Deps } from '../deps.ts'
import { record } from '../events.ts'
import { encryptPrivateKey } from './keyCipher.ts'
import { makeKeyPair } from './keyPair.ts'
import { requireSecretKey, settleSecretKey } from './secretKeyChange.ts'

export type { SigningKeyRow as KeyRow }

/** Seconds for which whoever fetches the published keys may keep them. Shorter than `lead` by more than replicas take to learn. */
export const publishedKeysMaxAge = 30
/** Milliseconds for which a key is published before it signs. */
const lead = 60_000
/** Milliseconds by which a key outlives the last token that it has signed, for upstreams that allow for skewed clocks. */
const leeway = 60_000
const dayMilliseconds = 86_400_000

/** What a server does before it serves: SECRET_KEY is the database's, and there is a key of ALGORITHM, at work or to come. */
export async function prepareKeys(deps: Deps): Promise<void> {
  await settleSecretKey(deps)
  const { algorithm } = deps.settings.keys
  for (;;) {
    const stored = await deps.database.signingKeys.listKeys()
    const newest = stored.rows.at(-1)
    if (newest?.algorithm === algorithm) return extendStopping(deps, stored)
    const next = newest ? algorithm : await firstAlgorithm(deps)
    if ((await addKey(deps, stored, { algorithm: next, by: 'setting' })) && next === algorithm) return
  }
}

/**
 * Rotates now: the next key of the algorithm in use is published, and signs a minute later. Throws `refused` where SECRET_KEY
 * itself signs, `conflict` while a rotation is under way.
 */
export async function rotateKey(deps: Deps, by: string): Promise<AddedKey> {
  const stored = await deps.database.signingKeys.listKeys()
  const newest = stored.rows.at(-1)
  if (!newest) throw new AppError('refused', 'There are no signing keys yet. Start the server once to create one.')
  if (newest.algorithm === 'HS256') {
    throw new AppError(
      'refused',
      'HS256 signs tokens with SECRET_KEY itself. To rotate it, set SECRET_KEY to a new key and SECRET_KEY_PREVIOUS to the current one.',
    )
  }
  if (newest.signs_from.getTime() > deps.clock()) {
    const from = newest.signs_from.toISOString()
    throw new AppError('conflict', `A rotation is already in progress: key ${newest.kid} signs from ${from}.`)
  }
  const added = await addKey(deps, stored, { algorithm: requireAlgorithm(newest), by })
  if (!added)
    throw new AppError(
      'conflict',
      'Another rotation started at the same time. Run "audittrail key list" to see its key.',
    )
  return added
}

/** What time brings: the next key by age, and the end of the ones that are done. Any number of replicas may do it at once. */
export async function maintainKeys(deps: Deps): Promise<void> {
  const { rotationDays } = deps.settings.keys
  const stored = await deps.database.signingKeys.listKeys()
  const newest = stored.rows.at(-1)
  await extendStopping(deps, stored)
  const isDue =
    newest !== undefined &&
    newest.kid !== null &&
    rotationDays > 0 &&
    newest.signs_from.getTime() + rotationDays * dayMilliseconds <= deps.clock()
  if (isDue) await addKey(deps, stored, { algorithm: requireAlgorithm(newest), by: 'age' })
  for (const { kid, algorithm } of await deps.database.signingKeys.deleteRetiredKeys(new Date(deps.clock()))) {
    record(deps, { event: 'key.retired', kid, algorithm })
  }
}

/**
 * The last way out, when a SECRET_KEY is lost or has leaked: every session ends, every key goes, SECRET_KEY is noted, and a new
 * key of the same algorithm signs at once. Answers how many sessions ended.
 */
export async function resetKeys(deps: Deps, by: string): Promise<number> {
  const { signingKeys: keys } = deps.database
  const newest = (await keys.listKeys()).rows.at(-1)
  const fingerprint = fingerprintOf(deps.settings.keys.secretKeys().current)
  const ended = await keys.resetKeys(fingerprint, new Date(deps.clock()))
  record(deps, { event: 'key.reset', ended, by })
  const algorithm = newest ? requireAlgorithm(newest) : deps.settings.keys.algorithm
  await addKey(deps, { fingerprint, rows: [] }, { algorithm, by })
  return ended
}

/** Where there are sessions and no keys, an earlier version has signed with SECRET_KEY, and its tokens go on. */
async function firstAlgorithm({ database, settings }: Deps): Promise<Algorithm> {
  return (await database.signingKeys.hasSessions()) ? 'HS256' : settings.keys.algorithm
}

export interface AddedKey {
  /** Null for HS256. */
  readonly kid: string | null
  readonly algorithm: Algorithm
  /** ISO 8601. */
  readonly signs_from: string
}

interface Addition {
  readonly algorithm: Algorithm
  /** Who or what asks for it, for the trail. */
  readonly by: string
}

/**
 * Adds the key that comes behind the stored ones; undefined where something has come in between. The very first one signs at
 * once: nobody can have fetched the published keys without it.
 */
async function addKey(
  deps: Deps,
  stored: StoredSigningKeys,
  { algorithm, by }: Addition,
): Promise<AddedKey | undefined> {
  const { database, clock, settings } = deps
  const fingerprint = stored.fingerprint ?? ''
  const secretKey = requireSecretKey(deps, fingerprint)
  const pair = algorithm === 'HS256' ? undefined : await makeKeyPair(algorithm)
  const newest = stored.rows.at(-1)
  const now = clock()
  const signsFrom = newest ? Math.max(now + lead, newest.signs_from.getTime()) : now
  const isAdded = await database.signingKeys.insertKey({
    after: newest?.generation ?? 0,
    algorithm,
    kid: pair?.kid ?? null,
    publicKey: pair ? JSON.stringify(pair.publicJwk) : null,
    privateKey: pair ? encryptPrivateKey(pair.privateKey, pair, secretKey) : null,
    fingerprint,
    now: new Date(now),
    signsFrom: new Date(signsFrom),
    predecessorVerifiesUntil: lastExpiry(settings, signsFrom),
  })
  if (!isAdded) return undefined
  const added = { kid: pair?.kid ?? null, algorithm, signs_from: new Date(signsFrom).toISOString() }
  if (newest) record(deps, { event: 'key.rotated', from: newest.kid ?? newest.algorithm, ...added, by })
  else record(deps, { event: 'key.created', ...added, by })
  return added
}

/** A key that is about to stop, or has just stopped, verifies for as long as the tokens of this replica live too. */
async function extendStopping({ database, clock, settings }: Deps, { rows }: StoredSigningKeys): Promise<void> {
  for (const [index, { generation, verifies_until: until }] of rows.entries()) {
    const stops = rows[index + 1]?.signs_from.getTime() ?? 0
    const expiry = lastExpiry(settings, stops)
    if (stops + leeway > clock() && until && until < expiry) await database.signingKeys.extendKey(generation, expiry)
  }
}

/** When the last token has expired that a key signs before it stops, and nobody's clock says otherwise. */
function lastExpiry({ accessTokenSeconds }: Deps['settings'], stops: number): Date {
  return new Date(stops + accessTokenSeconds * 1000 + leeway)
}

function requireAlgorithm({ algorithm }: SigningKeyRow): Algorithm {
  const known = algorithms.find((candidate) => candidate === algorithm)
  if (!known)
    throw new AppError(
      'refused',
      'The signing keys in this database were created by a newer version of AuditTrail. Use that version.',
    )
  return known
}
