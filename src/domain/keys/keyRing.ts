import type { StoredSigningKeys } from '../../db/statements/signingKeys.ts'
import { AppError } from '../../error.ts'
import type { Deps } from '../deps.ts'
import type { PublicJwk } from './keyPair.ts'
import { type LoadedKey, loadKeys, type Signer, type Verifier } from './loadedKeys.ts'
import { requireSecretKey } from './secretKeyChange.ts'

/**
 * The keys in the memory of this process, read from the database every few seconds. Verifying a
 * token does not query the database.
 */
export interface KeyRing {
  /** Changes with every change of the keys. 0 until they are first read. */
  version(): number
  /**
   * Returns the verifier for a `kid`, or for none (HS256). Undefined if there is none or it has
   * expired.
   */
  findVerifier(kid: string | undefined): Verifier | undefined
  /** Returns the current signer. Throws `unavailable` while it is unknown. */
  requireSigner(): Promise<Signer>
  /** Lists the public keys that verify, including the next one. */
  listPublicKeys(): Promise<readonly PublicJwk[]>
  /**
   * Reads the keys for an unknown `kid`, or joins a read in progress, unless they were just read.
   */
  refreshIfStale(): Promise<void>
  refresh(): Promise<void>
  /** Reads the keys every few seconds in the background. Returns a function that stops it. */
  startPolling(): () => void
}

/** Milliseconds between background reads, and between reads for unknown `kid`s. */
const pollInterval = 5_000
const unknownKidInterval = 2_000
/**
 * Milliseconds after which keys are too old to sign with: a replica that was suspended may have
 * missed a rotation.
 */
const maximumAge = 15_000

interface Snapshot {
  /** Milliseconds, by the monotonic clock. */
  readonly readAt: number
  readonly keys: readonly LoadedKey[]
  /** The stored row, to detect changes. */
  readonly text: string
}

export function createKeyRing(deps: Deps): KeyRing {
  const { database, clock, monotonicClock, log } = deps
  let snapshot: Snapshot | undefined
  let version = 0
  let failure: unknown
  let refreshing: Promise<void> | undefined
  let refreshedForUnknownAt = Number.NEGATIVE_INFINITY

  async function read(): Promise<void> {
    const stored = await database.signingKeys.listKeys()
    // An unknown SECRET_KEY is fatal only before the first read: later, tokens of this process stay
    // valid.
    if (!snapshot) requirePrepared(deps, stored)
    const text = JSON.stringify(stored.rows.map(({ private_key: _, ...row }) => row))
    if (text !== snapshot?.text) version++
    snapshot = { readAt: monotonicClock(), keys: loadKeys(deps, stored, snapshot?.keys ?? []), text }
  }

  async function readAndReport(): Promise<void> {
    try {
      await read()
      if (failure !== undefined) log.info('keys.available')
      failure = undefined
    } catch (error) {
      if (failure === undefined && snapshot)
        log.warn('keys.unavailable', {
          detail: 'the signing keys cannot be read from the database; the last known keys stay in use',
        })
      failure = error
      throw error
    }
  }

  function refresh(): Promise<void> {
    refreshing ??= readAndReport().finally(() => {
      refreshing = undefined
    })
    return refreshing
  }

  const isFresh = () => snapshot !== undefined && monotonicClock() - snapshot.readAt <= maximumAge
  const activeKeys = (now: number) => (snapshot?.keys ?? []).filter(({ verifier }) => verifier.verifiesUntil > now)

  return {
    refresh,
    version: () => version,
    findVerifier: (kid) => activeKeys(clock()).find(({ verifier }) => verifier.kid === kid)?.verifier,
    requireSigner: async () => {
      if (!isFresh()) await refresh()
      const signer = signingKey(snapshot?.keys ?? [], clock())?.signer
      if (!signer) throw new AppError('unavailable', 'The signing key is unavailable.')
      return signer
    },
    listPublicKeys: async () => {
      // Old keys are better than none.
      if (!isFresh()) await refresh().catch((error) => rethrowUnless(snapshot, error))
      return activeKeys(clock()).flatMap(({ verifier }) => (verifier.kid === undefined ? [] : [verifier.publicJwk]))
    },
    refreshIfStale: async () => {
      const now = monotonicClock()
      if (now - refreshedForUnknownAt >= unknownKidInterval) {
        refreshedForUnknownAt = now
        await refresh()
      } else if (refreshing) await refreshing
      else if (failure !== undefined) throw failure
    },
    startPolling: () => {
      const timer = setInterval(() => refresh().catch(() => {}), pollInterval)
      return () => clearInterval(timer)
    },
  }
}

/**
 * Returns the newest key whose time has come. With a slow clock, that of the first key may not have
 * come.
 */
function signingKey(keys: readonly LoadedKey[], now: number): LoadedKey | undefined {
  return keys.findLast(({ signsFrom }) => signsFrom <= now) ?? keys[0]
}

function requirePrepared(deps: Deps, { fingerprint, rows }: StoredSigningKeys): void {
  if (fingerprint === null || rows.length === 0)
    throw new AppError('unavailable', 'This database has no signing keys yet.')
  requireSecretKey(deps, fingerprint)
}

function rethrowUnless(snapshot: Snapshot | undefined, error: unknown): void {
  if (!snapshot) throw error
}
