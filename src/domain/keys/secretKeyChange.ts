import type { PendingEvent } from '../../db/audit/batch.ts'
import { AppError } from '../../error.ts'
import { findSecretKey, fingerprintOf } from '../../secretKeys.ts'
import { audited } from '../audit/audited.ts'
import { parseLeaf } from '../audit/leaf.ts'
import { isSignedByCurrentKey, macTextOf } from '../audit/sequencing.ts'
import type { Deps } from '../deps.ts'
import { edgeWidths } from '../transparency/tree.ts'
import { decryptPrivateKey, encryptPrivateKey } from './keyCipher.ts'

/**
 * Compares SECRET_KEY with the fingerprint in the database, or records it. A database used with one
 * of SECRET_KEY_PREVIOUS is re-encrypted under SECRET_KEY, by one of several concurrent replicas.
 * Throws `refused` if it was used with any other key.
 */
export async function reconcileSecretKey(deps: Deps): Promise<void> {
  const { signingKeys: keys } = deps.database
  const secretKeys = deps.settings.keys.secretKeys()
  const own = fingerprintOf(secretKeys.current)
  for (;;) {
    const { fingerprint } = await keys.listKeys()
    if (fingerprint === own) return
    if (fingerprint === null) {
      await deps.database.instance.insertInstance()
      await bindFirstKey(deps)
      continue
    }
    const former = requireSecretKey(deps, fingerprint)
    const change = {
      from: fingerprint,
      to: own,
      reencrypt: (row: EncryptedKey) => reencrypt(row, former, secretKeys.current),
    }
    const reencrypted = await audited(
      deps,
      ({ signingKeys }) => signingKeys.reencryptKeys(change),
      (count) => (count === undefined ? [] : [{ event: { event: 'secret_key.changed', reencrypted: count } }]),
    )
    if (reencrypted !== undefined) return
  }
}

/**
 * Records the fingerprint of SECRET_KEY in a database without one. If the audit log is empty,
 * events that commands have written until then, with whatever key they had, become events of this
 * key. Throws `refused` if the log was signed by another key.
 */
export async function bindFirstKey(deps: Deps): Promise<void> {
  const { keys } = deps.audit
  await deps.database.withEvents(
    async ({ signingKeys, audit }) => {
      const isFirst = await signingKeys.bindFingerprint(fingerprintOf(deps.settings.keys.secretKeys().current))
      const macOf = (row: PendingEvent) => keys.macOf(macTextOf(parseLeaf(row.leaf), row))
      if (!isFirst || (await audit.replaceFirstMacs(macOf))) return
      if (isSignedByCurrentKey(keys, await audit.readHead(edgeWidths))) return
      throw new AppError(
        'refused',
        'This database has lost the fingerprint of its SECRET_KEY, and its audit log was not signed with this one. Set SECRET_KEY to the original key. If it is lost, run "audittrail key reset", which ends all sessions.',
      )
    },
    () => [],
  )
}

/**
 * Returns the secret key with this fingerprint from SECRET_KEY and SECRET_KEY_PREVIOUS. Throws
 * `refused` if none fits.
 */
export function requireSecretKey({ settings }: Pick<Deps, 'settings'>, fingerprint: string): string {
  const secretKey = findSecretKey(settings.keys.secretKeys(), fingerprint)
  if (secretKey !== undefined) return secretKey
  throw new AppError(
    'refused',
    'This database was used with a different SECRET_KEY. Set SECRET_KEY to the original key, or keep the new key and add the original to SECRET_KEY_PREVIOUS. If the original is lost, run "audittrail key reset", which ends all sessions.',
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
