import { AppError } from '../../error.ts'
import { findSecretKey, fingerprintOf } from '../../secretKeys.ts'
import type { Deps } from '../deps.ts'
import { record } from '../events.ts'
import { decryptPrivateKey, encryptPrivateKey } from './keyCipher.ts'

/**
 * Holds SECRET_KEY against the fingerprint that the database keeps, or notes it there. Where the database was used with one of
 * SECRET_KEY_PREVIOUS it goes over to SECRET_KEY, private keys and all; of many replicas at once one does that. Throws `refused`
 * where it was used with a key that is in neither.
 */
export async function settleSecretKey(deps: Deps): Promise<void> {
  const { signingKeys: keys } = deps.database
  const secretKeys = deps.settings.keys.secretKeys()
  const own = fingerprintOf(secretKeys.current)
  for (;;) {
    const { fingerprint } = await keys.listKeys()
    if (fingerprint === own) return
    if (fingerprint === null) {
      await keys.insertFingerprint(own)
      continue
    }
    const former = requireSecretKey(deps, fingerprint)
    const reencrypted = await keys.reencryptKeys({
      from: fingerprint,
      to: own,
      reencrypt: (row) => reencrypt(row, former, secretKeys.current),
    })
    if (reencrypted === undefined) continue
    record(deps, { event: 'secret_key.changed', reencrypted })
    return
  }
}

/** The secret key of a fingerprint, among SECRET_KEY and SECRET_KEY_PREVIOUS. Throws `refused`, saying both ways on. */
export function requireSecretKey({ settings }: Pick<Deps, 'settings'>, fingerprint: string): string {
  const secretKey = findSecretKey(settings.keys.secretKeys(), fingerprint)
  if (secretKey !== undefined) return secretKey
  throw new AppError(
    'refused',
    'This database was used with a different SECRET_KEY. Set SECRET_KEY to that key, or keep the new key and add that one to SECRET_KEY_PREVIOUS. If that key is lost, run "audittrail key reset", which ends all sessions.',
  )
}

interface EncryptedKey {
  readonly kid: string | null
  readonly algorithm: string
  readonly private_key: string
}

function reencrypt({ kid, algorithm, private_key }: EncryptedKey, from: string, to: string): string {
  const name = { kid: kid ?? '', algorithm }
  const privateKey = decryptPrivateKey(private_key, name, from)
  if (privateKey) return encryptPrivateKey(privateKey, name, to)
  throw new AppError(
    'refused',
    'A private key in the database cannot be decrypted, although SECRET_KEY is correct. Restore the table audittrail_keys, or run "audittrail key reset", which ends all sessions.',
  )
}
