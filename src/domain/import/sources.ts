import { AppError } from '../../error.ts'
import type { FirebaseParameters } from '../hashes/scryptHashes.ts'
import { auth0User } from './auth0Users.ts'
import { djangoUsers } from './djangoUsers.ts'
import { firebaseUser } from './firebaseUsers.ts'
import type { Fields } from './importedUser.ts'
import { keycloakUser } from './keycloakUsers.ts'

export const importSources = ['django', 'keycloak', 'firebase', 'auth0'] as const
export type ImportSource = (typeof importSources)[number]

/**
 * Converts another program's record to our fields; undefined for one that is not a user (a service
 * account, a row of another table).
 */
export type Translate = (fields: Fields) => Fields | undefined

/** Members that only records of one program have. */
const ownMembers: Readonly<Record<ImportSource, readonly string[]>> = {
  django: ['model', 'fields'],
  keycloak: ['credentials', 'createdTimestamp', 'realmRoles', 'realm'],
  firebase: ['localId', 'passwordUpdatedAt', 'providerUserInfo'],
  auth0: ['passwordHash', 'identifiers', 'user_id', 'email_verified', 'custom_password_hash'],
}

/**
 * Throws `refused` if the first record of a file without `--from` is one of another program. Else
 * each record would be an error.
 */
export function refuseOtherProgram(first: Fields): void {
  const source = importSources.find((name) => ownMembers[name].some((field) => Object.hasOwn(first, field)))
  if (source === undefined) return
  throw new AppError('refused', `The file looks like an export of another program. Add --from ${source}.`)
}

export interface SourceOptions {
  readonly from: ImportSource | undefined
  readonly firebase: FirebaseParameters | undefined
  /** Whether Django's superusers get the role admin. */
  readonly superusersAreAdministrators?: boolean | undefined
}

/** Returns the conversion for that program; without one the records have our fields already. */
export function translationFrom({ from, firebase, superusersAreAdministrators = false }: SourceOptions): Translate {
  switch (from) {
    case undefined:
      return (fields) => fields
    case 'django':
      return djangoUsers(superusersAreAdministrators)
    case 'keycloak':
      return keycloakUser
    case 'firebase':
      return (fields) => firebaseUser(fields, firebase)
    case 'auth0':
      return auth0User
  }
}
