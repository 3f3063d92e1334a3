import type { FirebaseParameters } from '../hashes/scryptHashes.ts'
import { auth0User } from './auth0Users.ts'
import { djangoUsers } from './djangoUsers.ts'
import { firebaseUser } from './firebaseUsers.ts'
import type { Fields } from './importedUser.ts'
import { keycloakUser } from './keycloakUsers.ts'

export const importSources = ['django', 'keycloak', 'firebase', 'auth0'] as const
export type ImportSource = (typeof importSources)[number]

/** Converts another program's record to our fields; undefined for one that is not a user (a service account, a row of another table). */
export type Translate = (fields: Fields) => Fields | undefined

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
