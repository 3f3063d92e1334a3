import type { Party } from '../audit/record.ts'

/** The user, service or command line that administers users. */
export interface Actor {
  /** For the log: a username, the command line, or a service and its key. */
  readonly name: string
  /**
   * Without it, an actor cannot create or change administrators, and so cannot gain their rights.
   */
  readonly canManageAdministrators: boolean
  /** For the audit log. Undefined: the source of the call. */
  readonly party?: Party
}
