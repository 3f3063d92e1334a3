import { AppError } from '../../error.ts'
import { bytesOfBase64 } from '../hashes/encoding.ts'
import { type FirebaseParameters, formatFirebaseScrypt } from '../hashes/scryptHashes.ts'
import { member, present, text, timeOfMilliseconds } from './fields.ts'
import type { Fields } from './importedUser.ts'

/**
 * Reads a user of `firebase auth:export`. The username is the email address, else the phone number,
 * else the Firebase ID.
 */
export function firebaseUser(user: Fields, parameters: FirebaseParameters | undefined): Fields {
  return present({
    username: text(user, 'email') ?? text(user, 'phoneNumber') ?? text(user, 'localId'),
    full_name: text(user, 'displayName'),
    hashed_password: hashOf(user, parameters),
    is_active: member(user, 'disabled') !== true,
    created_at: timeOfMilliseconds(member(user, 'createdAt')),
  })
}

/** Returns null for a user without a password, such as one who signs in with Google. */
function hashOf(user: Fields, parameters: FirebaseParameters | undefined): string | null {
  const [hash, salt] = [text(user, 'passwordHash'), text(user, 'salt')]
  if (hash === undefined) return null
  if (!parameters) {
    throw new AppError(
      'usage',
      'Firebase hashes require --hash-config FILE with the "Password hash parameters" of your project from the Firebase console.',
    )
  }
  const [hashBytes, saltBytes] = [bytesOfBase64(hash), bytesOfBase64(salt ?? '')]
  return (hashBytes && saltBytes && formatFirebaseScrypt(parameters, saltBytes, hashBytes)) ?? '$firebase-scrypt$'
}

/**
 * Reads the "Password hash parameters" of the Firebase console. Throws `refused` if one is missing.
 */
export function readFirebaseParameters(config: string): FirebaseParameters {
  const value = (name: string) => new RegExp(`\\b${name}"?\\s*[:=]\\s*"?([A-Za-z0-9+/_=-]+)`).exec(config)?.[1] ?? ''
  const signerKey = bytesOfBase64(value('base64_signer_key'))
  const saltSeparator = bytesOfBase64(value('base64_salt_separator'))
  const [rounds, memoryCost] = [Number(value('rounds')), Number(value('mem_cost'))]
  if (!signerKey || signerKey.length < 16 || signerKey.length > 64 || !saltSeparator || !rounds || !memoryCost) {
    throw new AppError(
      'refused',
      'The --hash-config file must contain base64_signer_key, base64_salt_separator, rounds and mem_cost, as shown in the Firebase console.',
    )
  }
  return { signerKey, saltSeparator, rounds, memoryCost }
}
