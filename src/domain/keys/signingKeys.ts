import { type Algorithm, algorithms } from '../../algorithms.ts'
import type { SigningKeyRow, StoredSigningKeys } from '../../db/statements/signingKeys.ts'
import { AppError } from '../../error.ts'
import { fingerprintOf } from '../../secretKeys.ts'
import { audited } from '../audit/audited.ts'
import type { AuditEvent } from '../audit/events.ts'
import { rejectUnknown } from '../audit/rejected.ts'
import { signAgain } from '../audit/sequencing.ts'
import type { Deps } from '../deps.ts'
import { edgeWidths } from '../transparency/tree.ts'
import { encryptPrivateKey } from './keyCipher.ts'
import { createKeyPair } from './keyPair.ts'
import { reconcileSecretKey, requireSecretKey } from './secretKeyChange.ts'

export type { SigningKeyRow as KeyRow }

/**
 * Seconds that clients may cache the published keys. Shorter than `lead`, with time for replicas to
 * learn of a key.
 */
export const publishedKeysMaxAge = 30
/** Milliseconds that a key is published before it signs. */
const lead = 60_000
/** Milliseconds that a key outlives its last token, for upstreams that tolerate clock skew. */
const leeway = 60_000
const dayMilliseconds = 86_400_000

/**
 * Prepares a server: SECRET_KEY matches the database, and a key of ALGORITHM signs or will sign.
 */
export async function ensureSigningKey(deps: Deps): Promise<void> {
  await reconcileSecretKey(deps)
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
 * Rotates now: publishes the next key of the current algorithm, which signs a minute later. Throws
 * `refused` for HS256, which signs with SECRET_KEY, and `conflict` during a rotation.
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

/** Adds the next key by age and deletes retired ones. Any number of replicas may do so at once. */
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
  const isRetired = stored.rows.some(({ verifies_until }) => verifies_until && verifies_until.getTime() <= deps.clock())
  if (!isRetired) return
  await audited(
    deps,
    ({ signingKeys }) => signingKeys.deleteRetiredKeys(new Date(deps.clock())),
    (keys) => keys.map(({ kid, algorithm }) => ({ event: { event: 'key.retired', kid, algorithm } })),
  )
}

/**
 * Recovers from a lost or leaked SECRET_KEY: ends every session, records SECRET_KEY, and replaces
 * all keys by one that signs at once, with the newest key's algorithm. Deletes pending events of
 * unknown keys, and records their hashes. Returns how many sessions ended; null if too many.
 */
export async function resetKeys(deps: Deps, by: string): Promise<number | null> {
  const { signingKeys: keys } = deps.database
  const newest = (await keys.listKeys()).rows.at(-1)
  const algorithm = newest ? requireAlgorithm(newest) : deps.settings.keys.algorithm
  const secretKey = deps.settings.keys.secretKeys().current
  const key = await createKey(algorithm, secretKey)
  const now = new Date(deps.clock())
  const first = { ...key, fingerprint: fingerprintOf(secretKey), now }
  const added = { kid: key.kid, algorithm, signs_from: now.toISOString() }
  const { ended } = await audited(
    deps,
    async ({ signingKeys, audit }) => {
      await audit.signHead(edgeWidths, (head) => signAgain(deps.audit.keys, head))
      const rejected = await rejectUnknown(audit, deps.audit.keys, by)
      return { ended: await signingKeys.resetKeys(first), rejected }
    },
    ({ ended, rejected }) => [
      ...rejected,
      { event: { event: 'key.reset', ended, by } },
      { event: { event: 'key.created', ...added, by } },
    ],
    'unlimited',
  )
  return ended
}

/**
 * Sessions without keys mean that an earlier version signed with SECRET_KEY. Its tokens stay valid.
 */
async function firstAlgorithm({ database, settings }: Deps): Promise<Algorithm> {
  return (await database.signingKeys.hasSessionsFromBeforeKeys()) ? 'HS256' : settings.keys.algorithm
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
  /** The actor, as in the log. */
  readonly by: string
}

/**
 * Adds the next key. Returns undefined if another one was added first. The first key of a database
 * signs at once, since no client can have cached the published keys without it.
 */
async function addKey(
  deps: Deps,
  stored: StoredSigningKeys,
  { algorithm, by }: Addition,
): Promise<AddedKey | undefined> {
  const { clock, settings } = deps
  const fingerprint = stored.fingerprint ?? ''
  const secretKey = requireSecretKey(deps, fingerprint)
  const key = await createKey(algorithm, secretKey)
  const newest = stored.rows.at(-1)
  const now = clock()
  const signsFrom = newest ? Math.max(now + lead, newest.signs_from.getTime()) : now
  const next = {
    ...key,
    after: newest?.generation ?? 0,
    fingerprint,
    now: new Date(now),
    signsFrom: new Date(signsFrom),
    predecessorVerifiesUntil: lastExpiry(settings, signsFrom),
  }
  const added = { kid: key.kid, algorithm, signs_from: new Date(signsFrom).toISOString() }
  const event: AuditEvent = newest
    ? { event: 'key.rotated', from: newest.kid ?? newest.algorithm, ...added, by }
    : { event: 'key.created', ...added, by }
  const isAdded = await audited(
    deps,
    ({ signingKeys }) => signingKeys.insertKey(next),
    (isInserted) => (isInserted ? [{ event }] : []),
  )
  return isAdded ? added : undefined
}

/** Returns a new key as it is stored. HS256 signs with SECRET_KEY itself. */
async function createKey(algorithm: Algorithm, secretKey: string) {
  if (algorithm === 'HS256') return { algorithm, kid: null, publicKey: null, privateKey: null }
  const pair = await createKeyPair(algorithm)
  const privateKey = encryptPrivateKey(pair.privateKey, pair, secretKey)
  return { algorithm, kid: pair.kid, publicKey: JSON.stringify(pair.publicJwk), privateKey }
}

/** A key that stops signing verifies for as long as tokens of this replica may be valid. */
async function extendStopping({ database, clock, settings }: Deps, { rows }: StoredSigningKeys): Promise<void> {
  for (const [index, { generation, verifies_until: until }] of rows.entries()) {
    const stops = rows[index + 1]?.signs_from.getTime() ?? 0
    const expiry = lastExpiry(settings, stops)
    if (stops + leeway > clock() && until && until < expiry) await database.signingKeys.extendKey(generation, expiry)
  }
}

/** Returns when the last token of a key expires, with an allowance for clock differences. */
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
