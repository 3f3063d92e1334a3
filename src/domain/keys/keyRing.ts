import type { KeyObject } from 'node:crypto'
import { algorithms, type PairAlgorithm } from '../../algorithms.ts'
import type { SigningKeyRow, StoredSigningKeys } from '../../db/statements/signingKeys.ts'
import { AppError } from '../../error.ts'
import { findSecretKey, type SecretKeys } from '../../secretKeys.ts'
import type { Deps } from '../deps.ts'
import { decryptPrivateKey } from './keyCipher.ts'
import { type PublicJwk, readPublicKey } from './keyPair.ts'
import { requireSecretKey } from './secretKeyChange.ts'

/** SECRET_KEY by HMAC. Several, while SECRET_KEY is being changed. */
export interface SecretVerifier {
  readonly algorithm: 'HS256'
  readonly kid: undefined
  readonly secrets: readonly Buffer[]
  /** Epoch milliseconds; Infinity where no end is known. */
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
 * The keys as this process knows them, read from the database every few seconds. It answers from memory: verifying a token asks
 * nothing of the database.
 */
export interface KeyRing {
  /** Another number after each change of the keys; 0 until they were read. */
  version(): number
  /** What verifies tokens with that `kid`, or with none at all (HS256); undefined where nothing does, or no longer. */
  findVerifier(kid: string | undefined): Verifier | undefined
  /** What signs at this moment. Throws `unavailable` while that cannot be said. */
  requireSigner(): Promise<Signer>
  /** The public keys that verify, the ones to come included. */
  listPublicKeys(): Promise<readonly PublicJwk[]>
  /** For a `kid` that is not known: reads the keys, or waits for who does; but not when that was done a moment ago. */
  look(): Promise<void>
  refresh(): Promise<void>
  /** Reads the keys every few seconds in the background; answers how to stop it. */
  follow(): () => void
}

/** Milliseconds between two reads in the background, and between two for the sake of unknown `kid`s. */
const pollInterval = 5_000
const lookInterval = 2_000
/** Milliseconds after which what was read is too old to sign by: a replica that was suspended may have missed a rotation. */
const stale = 15_000

interface Key {
  readonly verifier: Verifier
  /** Undefined where its private key is encrypted under a SECRET_KEY that is not known here. */
  readonly signer: Signer | undefined
  readonly signsFrom: number
}

interface Reading {
  readonly at: number
  readonly keys: readonly Key[]
  /** What it was made from, to tell whether anything has changed. */
  readonly text: string
}

export function createKeyRing(deps: Deps): KeyRing {
  const { database, clock, log } = deps
  let reading: Reading | undefined
  let version = 0
  let failure: unknown
  let underWay: Promise<void> | undefined
  let lookedAt = Number.NEGATIVE_INFINITY

  async function read(): Promise<void> {
    const stored = await database.signingKeys.listKeys()
    // Later on a strange SECRET_KEY ends nothing: what this process has made is good as long as others know it.
    if (!reading) requirePrepared(deps, stored)
    const text = JSON.stringify(stored.rows.map(({ private_key: _, ...row }) => row))
    if (text !== reading?.text) version++
    reading = { at: clock(), keys: readKeys(deps, stored, reading?.keys ?? []), text }
  }

  async function readAndTell(): Promise<void> {
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
    underWay ??= readAndTell().finally(() => {
      underWay = undefined
    })
    return underWay
  }

  const isFresh = () => reading !== undefined && Math.abs(clock() - reading.at) <= stale
  const living = (now: number) => (reading?.keys ?? []).filter(({ verifier }) => verifier.verifiesUntil > now)

  return {
    refresh,
    version: () => version,
    findVerifier: (kid) => living(clock()).find(({ verifier }) => verifier.kid === kid)?.verifier,
    requireSigner: async () => {
      if (!isFresh()) await refresh()
      const signer = signingKey(reading?.keys ?? [], clock())?.signer
      if (!signer) throw new AppError('unavailable', 'The signing key is unavailable.')
      return signer
    },
    listPublicKeys: async () => {
      // Better the keys of a while ago than none.
      if (!isFresh()) await refresh().catch((error) => throwUnless(reading, error))
      return living(clock()).flatMap(({ verifier }) => (verifier.kid === undefined ? [] : [verifier.publicJwk]))
    },
    look: async () => {
      const now = clock()
      if (Math.abs(now - lookedAt) >= lookInterval) {
        lookedAt = now
        await refresh()
      } else if (underWay) await underWay
      else if (failure !== undefined) throw failure
    },
    follow: () => {
      const timer = setInterval(() => refresh().catch(() => {}), pollInterval)
      return () => clearInterval(timer)
    },
  }
}

/** The latest one whose time has come; of the very first one it may not have come yet, by a clock that is slow. */
function signingKey(keys: readonly Key[], now: number): Key | undefined {
  return keys.findLast(({ signsFrom }) => signsFrom <= now) ?? keys[0]
}

function requirePrepared(deps: Deps, { fingerprint, rows }: StoredSigningKeys): void {
  if (fingerprint === null || rows.length === 0)
    throw new AppError('unavailable', 'This database has no signing keys yet.')
  requireSecretKey(deps, fingerprint)
}

function throwUnless(reading: Reading | undefined, error: unknown): void {
  if (!reading) throw error
}

function readKeys({ settings, log }: Deps, { fingerprint, rows }: StoredSigningKeys, known: readonly Key[]): Key[] {
  const secretKeys = settings.keys.secretKeys()
  const encryptedUnder = fingerprint === null ? undefined : findSecretKey(secretKeys, fingerprint)
  return rows.flatMap((row) => {
    const signsFrom = row.signs_from.getTime()
    const verifiesUntil = row.verifies_until?.getTime() ?? Number.POSITIVE_INFINITY
    if (row.algorithm === 'HS256') return { ...secretKey(secretKeys, verifiesUntil), signsFrom }
    // What is known stays as it is: nothing is decrypted twice, nor lost when SECRET_KEY changes elsewhere.
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

/** Undefined for an algorithm of a newer version. */
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
