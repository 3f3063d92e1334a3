import type { KeyObject } from 'node:crypto'
import { algorithms, type PairAlgorithm } from '../../algorithms.ts'
import type { SigningKeyRow, StoredSigningKeys } from '../../db/statements/signingKeys.ts'
import { AppError } from '../../error.ts'
import { findSecretKey, type SecretKeys } from '../../secretKeys.ts'
import type { Deps } from '../deps.ts'
import { decryptPrivateKey } from './keyCipher.ts'
import { type PublicJwk, readPublicKey } from './keyPair.ts'
import { requireSecretKey } from './secretKeyChange.ts'

/** Verifies HMACs with SECRET_KEY, and with the previous ones while it is being changed. */
export interface SecretVerifier {
  readonly algorithm: 'HS256'
  readonly kid: undefined
  readonly secrets: readonly Buffer[]
  /** Epoch milliseconds. Infinity while no end is known. */
  readonly verifiesUntil: number
}

export interface PairVerifier {
  readonly algorithm: PairAlgorithm
  readonly kid: string
  readonly publicKey: KeyObject
  readonly publicJwk: PublicJwk
  readonly verifiesUntil: number
}

export type Verifier = SecretVerifier | PairVerifier

export type Signer =
  | { readonly algorithm: 'HS256'; readonly kid: undefined; readonly key: string }
  | { readonly algorithm: PairAlgorithm; readonly kid: string; readonly key: KeyObject }

/**
 * The keys in the memory of this process, read from the database every few seconds. Verifying a token does not query
 * the database.
 */
export interface KeyRing {
  /** Changes with every change of the keys. 0 until they are first read. */
  version(): number
  /** Returns the verifier for a `kid`, or for none (HS256). Undefined if there is none or it has expired. */
  findVerifier(kid: string | undefined): Verifier | undefined
  /** Returns the current signer. Throws `unavailable` while it is unknown. */
  requireSigner(): Promise<Signer>
  /** Lists the public keys that verify, including the next one. */
  listPublicKeys(): Promise<readonly PublicJwk[]>
  /** Reads the keys for an unknown `kid`, or joins a read in progress, unless they were just read. */
  refreshIfStale(): Promise<void>
  refresh(): Promise<void>
  /** Reads the keys every few seconds in the background. Returns a function that stops it. */
  startPolling(): () => void
}

/** Milliseconds between background reads, and between reads for unknown `kid`s. */
const pollInterval = 5_000
const unknownKidInterval = 2_000
/** Milliseconds after which keys are too old to sign with: a replica that was suspended may have missed a rotation. */
const stale = 15_000

interface Key {
  readonly verifier: Verifier
  /** Undefined if its private key is encrypted under an unknown SECRET_KEY. */
  readonly signer: Signer | undefined
  readonly signsFrom: number
}

interface Reading {
  readonly at: number
  readonly keys: readonly Key[]
  /** The stored row, to detect changes. */
  readonly text: string
}

export function createKeyRing(deps: Deps): KeyRing {
  const { database, clock, log } = deps
  let reading: Reading | undefined
  let version = 0
  let failure: unknown
  let refreshing: Promise<void> | undefined
  let refreshedForUnknownAt = Number.NEGATIVE_INFINITY

  async function read(): Promise<void> {
    const stored = await database.signingKeys.listKeys()
    // An unknown SECRET_KEY is fatal only before the first read: later, tokens of this process stay valid.
    if (!reading) requirePrepared(deps, stored)
    const text = JSON.stringify(stored.rows.map(({ private_key: _, ...row }) => row))
    if (text !== reading?.text) version++
    reading = { at: clock(), keys: readKeys(deps, stored, reading?.keys ?? []), text }
  }

  async function readAndReport(): Promise<void> {
    try {
      await read()
      if (failure !== undefined) log.info('keys.available')
      failure = undefined
    } catch (error) {
      if (failure === undefined && reading)
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

  const isFresh = () => reading !== undefined && Math.abs(clock() - reading.at) <= stale
  const activeKeys = (now: number) => (reading?.keys ?? []).filter(({ verifier }) => verifier.verifiesUntil > now)

  return {
    refresh,
    version: () => version,
    findVerifier: (kid) => activeKeys(clock()).find(({ verifier }) => verifier.kid === kid)?.verifier,
    requireSigner: async () => {
      if (!isFresh()) await refresh()
      const signer = signingKey(reading?.keys ?? [], clock())?.signer
      if (!signer) throw new AppError('unavailable', 'The signing key is unavailable.')
      return signer
    },
    listPublicKeys: async () => {
      // Old keys are better than none.
      if (!isFresh()) await refresh().catch((error) => rethrowUnless(reading, error))
      return activeKeys(clock()).flatMap(({ verifier }) => (verifier.kid === undefined ? [] : [verifier.publicJwk]))
    },
    refreshIfStale: async () => {
      const now = clock()
      if (Math.abs(now - refreshedForUnknownAt) >= unknownKidInterval) {
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

/** Returns the newest key whose time has come. With a slow clock, that of the first key may not have come. */
function signingKey(keys: readonly Key[], now: number): Key | undefined {
  return keys.findLast(({ signsFrom }) => signsFrom <= now) ?? keys[0]
}

function requirePrepared(deps: Deps, { fingerprint, rows }: StoredSigningKeys): void {
  if (fingerprint === null || rows.length === 0)
    throw new AppError('unavailable', 'This database has no signing keys yet.')
  requireSecretKey(deps, fingerprint)
}

function rethrowUnless(reading: Reading | undefined, error: unknown): void {
  if (!reading) throw error
}

function readKeys({ settings, log }: Deps, { fingerprint, rows }: StoredSigningKeys, known: readonly Key[]): Key[] {
  const secretKeys = settings.keys.secretKeys()
  const encryptedUnder = fingerprint === null ? undefined : findSecretKey(secretKeys, fingerprint)
  return rows.flatMap((row) => {
    const signsFrom = row.signs_from.getTime()
    const verifiesUntil = row.verifies_until?.getTime() ?? Number.POSITIVE_INFINITY
    if (row.algorithm === 'HS256') return { ...secretKey(secretKeys, verifiesUntil), signsFrom }
    // Known keys are kept: nothing is decrypted twice, or lost when SECRET_KEY changes elsewhere.
    const before = known.find(({ verifier }) => verifier.kid === row.kid)
    const signer = before ? before.signer : pairSigner(row, encryptedUnder)
    if (!before && !signer) log.error('key.unusable', { kid: row.kid, detail: 'the private key cannot be decrypted' })
    const verifier = pairVerifier(row, before?.verifier, verifiesUntil)
    return verifier ? { verifier, signer, signsFrom } : []
  })
}

function secretKey({ current, previous }: SecretKeys, verifiesUntil: number): Pick<Key, 'verifier' | 'signer'> {
  const secrets = [current, ...previous].map((text) => Buffer.from(text))
  return {
    verifier: { algorithm: 'HS256', kid: undefined, secrets, verifiesUntil },
    signer: { algorithm: 'HS256', kid: undefined, key: current },
  }
}

/** Returns undefined for an algorithm of a newer version. */
function pairVerifier(
  row: SigningKeyRow,
  before: Verifier | undefined,
  verifiesUntil: number,
): PairVerifier | undefined {
  const algorithm = pairAlgorithm(row)
  if (algorithm === undefined || row.kid === null || row.public_key === null) return undefined
  if (before?.kid !== undefined) return { ...before, verifiesUntil }
  const publicJwk = JSON.parse(row.public_key) as PublicJwk
  return { algorithm, kid: row.kid, publicKey: readPublicKey(publicJwk), publicJwk, verifiesUntil }
}

function pairSigner({ kid, private_key, ...row }: SigningKeyRow, secretKey: string | undefined): Signer | undefined {
  const algorithm = pairAlgorithm(row)
  if (algorithm === undefined || kid === null || private_key === null || secretKey === undefined) return undefined
  const key = decryptPrivateKey(private_key, { kid, algorithm }, secretKey)
  return key && { algorithm, kid, key }
}

function pairAlgorithm({ algorithm }: Pick<SigningKeyRow, 'algorithm'>): PairAlgorithm | undefined {
  return algorithms.find((known): known is PairAlgorithm => known === algorithm && known !== 'HS256')
}
