import { AppError } from '../../error.ts'
import { bytesOfBase64 } from '../hashes/encoding.ts'
import { type FirebaseParameters, formatFirebaseScrypt } from '../hashes/scryptHashes.ts'
import { member, present, text, timeOfMilliseconds } from './fields.ts'
import type { Fields } from './importedUser.ts'

/** A user of `firebase auth:export users.json`. The name is the address, else the telephone number, else Firebase's own id. */
export function firebaseUser(user: Fields, parameters: FirebaseParameters | undefined): Fields {
  return present({
    username: text(user, 'email') ?? text(user, 'phoneNumber') ?? text(user, 'localId'),
    full_name: text(user, 'displayName'),
    hashed_password: hashOf(user, parameters),
    is_active: member(user, 'disabled') !== true,
    created_at: timeOfMilliseconds(member(user, 'createdAt')),
  })
}

/** Who signs in by Google and the like has no password. */
function hashOf(user: Fields, parameters: FirebaseParameters | undefined): string | null {
  const [hash, salt] = [text(user, 'passwordHash'), text(user, 'salt')]
  if (hash === undefined) return null
  if (!parameters) {
    throw new AppError(
      'usage',
      'Hashes of Firebase need --hash-config FILE, a file with the project\'s "Password hash parameters" of the Firebase console.',
    )
  }
  const [hashBytes, saltBytes] = [bytesOfBase64(hash), bytesOfBase64(salt ?? '')]
  return (hashBytes && saltBytes && formatFirebaseScrypt(parameters, saltBytes, hashBytes)) ?? '$firebase-scrypt$'
}

/** Reads what the Firebase console shows as "Password hash parameters". Throws `refused` where something is missing. */
export function readFirebaseParameters(shown: string): FirebaseParameters {
  const value = (name: string) => new RegExp(`\\b${name}"?\\s*[:=]\\s*"?([A-Za-z0-9+/_=-]+)`).exec(shown)?.[1] ?? ''
  const signerKey = bytesOfBase64(value('base64_signer_key'))
  const saltSeparator = bytesOfBase64(value('base64_salt_separator'))
  const [rounds, memoryCost] = [Number(value('rounds')), Number(value('mem_cost'))]
  if (!signerKey || signerKey.length < 16 || signerKey.length > 64 || !saltSeparator || !rounds || !memoryCost) {
    throw new AppError(
      'refused',
      'The file of --hash-config holds the parameters as the Firebase console shows them: base64_signer_key, base64_salt_separator, rounds, mem_cost.',
    )
  }
  return { signerKey, saltSeparator, rounds, memoryCost }
}
