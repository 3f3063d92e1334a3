import type { TokenRefusal } from '../../error.ts'

/**
 * Events of accounts, sessions and keys. Each becomes one log line. Their names and fields are
 * stable.
 */
export type AuditEvent =
  | {
      readonly event: 'login.succeeded'
      readonly username: string
      readonly session: string
      readonly address: Address
    }
  | {
      readonly event: 'login.failed'
      /**
       * Only for an existing user. Any other input may be a password typed into the wrong field.
       */
      readonly username?: string
      readonly reason: LoginFailure
      readonly address: Address
    }
  | { readonly event: 'login.throttled'; readonly address: Address }
  | { readonly event: 'logout'; readonly username: string; readonly session: string; readonly ended: number }
  | {
      readonly event: 'session.replayed'
      readonly username: string
      readonly session: string
      readonly address: Address
    }
  | {
      readonly event: 'session.ended'
      readonly username?: string
      readonly session: string
      readonly by: 'request' | 'revocation' | 'failure'
    }
  | { readonly event: 'sessions.ended'; readonly username: string; readonly by: string; readonly ended: number }
  | { readonly event: 'password.changed'; readonly username: string; readonly ended: number }
  | { readonly event: 'password.change_failed'; readonly username: string; readonly address: Address }
  | { readonly event: 'password.change_throttled'; readonly username: string; readonly address: Address }
  | { readonly event: 'password.reset'; readonly username: string; readonly by: string }
  | { readonly event: 'password.rehashed'; readonly username: string }
  | {
      readonly event: 'user.created'
      readonly username: string
      readonly by: string
      readonly roles: readonly string[]
    }
  | {
      readonly event: 'user.changed'
      readonly username: string
      readonly by: string
      readonly fields: readonly string[]
      readonly roles: readonly string[]
      readonly is_active: boolean
    }
  | { readonly event: 'user.deleted'; readonly username: string; readonly by: string }
  | {
      readonly event: 'block.lifted'
      readonly by: string
      readonly block?: string
      readonly username?: string
      readonly network?: string
      readonly lifted: number
    }
  /** Only for access tokens that we signed. Anyone can send others. */
  | {
      readonly event: 'token.refused'
      readonly reason: TokenRefusal
      readonly username: string
      readonly session: string
      readonly address: Address
    }
  /** A service tried to create or change an administrator. */
  | { readonly event: 'administrator.spared'; readonly by: string }
  | { readonly event: 'administrator.seeded'; readonly username: string }
  | ({ readonly event: 'key.created'; readonly by: string } & KeyFacts)
  | ({ readonly event: 'key.rotated'; readonly from: string; readonly by: string } & KeyFacts)
  | { readonly event: 'key.retired'; readonly kid: string | null; readonly algorithm: string }
  | { readonly event: 'key.reset'; readonly ended: number | null; readonly by: string }
  | { readonly event: 'secret_key.changed'; readonly reencrypted: number }
  | {
      readonly event: 'users.imported'
      readonly by: string
      readonly imported: number
      readonly skipped: number
      readonly administrators: number
    }
  /** One for each administrator of an import. */
  | {
      readonly event: 'user.imported'
      readonly username: string
      readonly by: string
      readonly roles: readonly string[]
    }
  | {
      readonly event: 'api_key.created'
      readonly api_key: string
      readonly service: string
      readonly by: string
      readonly scopes: readonly string[]
      readonly roles: readonly string[]
      /** Null: never. */
      readonly expires_at: string | null
    }
  | { readonly event: 'api_key.revoked'; readonly api_key: string; readonly service: string; readonly by: string }
  | {
      readonly event: 'api_key.refused'
      readonly reason: ApiKeyRefusal
      /** If the key exists. */
      readonly api_key?: string
      readonly service?: string
      readonly address: Address
    }
  /** An export contains password hashes, which can be brute-forced. */
  | { readonly event: 'users.export_started'; readonly by: string }
  | { readonly event: 'users.exported'; readonly by: string; readonly exported: number }
  /**
   * Everything that matches was read from the log. `filters`: the names of the query parameters.
   * `personal`: whether names and addresses were read too, of a whole log as tiles.
   */
  | {
      readonly event: 'audit.exported'
      readonly by: string
      readonly format: 'ndjson' | 'csv' | 'tlog-tiles'
      readonly filters?: readonly string[]
      readonly personal?: boolean
    }
  /** Refusals of one user, key or network, or of many, that were only counted. */
  | { readonly event: 'audit.suppressed'; readonly type: string; readonly count: number }
  /**
   * A failover had undone changes of this process, which made them again. `ids` are of sessions or
   * API keys; each user has an event.
   */
  | {
      readonly event: 'changes.repeated'
      readonly kind: 'session' | 'api_key' | 'password' | 'disabling' | 'roles' | 'deletion'
      readonly ids?: readonly string[]
    }
  | { readonly event: 'server.stopped' }
  /** After an idle hour: settles the numbers of the events before it. */
  | { readonly event: 'server.alive' }
  /** A committed event is neither pending nor in the log. `leaf` is only in the log line. */
  | { readonly event: 'audit.missing'; readonly n: number; readonly hash: string; readonly leaf: string }
  /** A pending row that this service did not write was deleted on request. */
  | { readonly event: 'audit.rejected'; readonly by: string; readonly pending: string; readonly hash: string }
  /**
   * Personal texts were erased: those of the user or API key in `about` in records below `below`
   * and in `pending` events, those at `indexes`, or those below `below` of records older than
   * `older_than`.
   */
  | {
      readonly event: 'audit.erased'
      readonly by: string
      /** How many records and pending events. */
      readonly erased: number
      readonly below?: number
      readonly older_than?: string
      /** Ranges. */
      readonly indexes?: string
      /** The process and the number of each. */
      readonly pending?: readonly string[]
    }
  /**
   * Records below an index are pruned once this record is in the log. `before`: the pruned ones are
   * older. `processes`: numbers of their events that later records of the process rely on.
   * `recent`: these processes may be commands that still run.
   */
  | {
      readonly event: 'audit.pruned'
      readonly by: string
      readonly minimum_index: number
      readonly before: string
      /** Whether SECRET_KEY was changed before. */
      readonly key_changed: boolean
      readonly processes: readonly string[]
      readonly recent?: boolean
      /** How many records have the states of accounts that the pruned ones had. */
      readonly carried: number
    }
  /**
   * The first `size` records, whose tree has this root, were verified: all, or those since an
   * earlier verification. `pending`: the first pending event of each process, unless there are too
   * many.
   */
  | {
      readonly event: 'audit.verified'
      readonly by: string
      readonly scope: 'whole' | 'new'
      readonly result: 'intact' | 'tampered'
      readonly findings: number
      readonly size: number
      readonly root: string
      readonly pending?: readonly string[]
      /** The first findings, only in the log line. */
      readonly listed?: readonly string[]
    }
  /**
   * States of accounts, as `ID STATE`: those before the log had states, those of imported users, or
   * what pruned records below `below` said. There, `-STATE` is a former state that no record
   * explains. `salt`: its hash.
   */
  | {
      readonly event: 'audit.baseline'
      readonly of: 'database' | 'import' | 'pruning'
      readonly accounts: readonly string[]
      readonly salt: string
      /** Whether every account is covered from here on. */
      readonly complete?: boolean
      readonly below?: number
    }
  /** The state of an account was accepted as it is. */
  | { readonly event: 'audit.accepted'; readonly by: string; readonly exists: boolean }
  /** The log was accepted as it is after a restore or a failover that lost commits. */
  | { readonly event: 'audit.restored'; readonly from: string; readonly size: number; readonly root: string }
  /** Numbers of events that were accepted as lost, as ranges. */
  | { readonly event: 'audit.lost'; readonly process: string; readonly numbers: string }
  | { readonly event: 'server.started'; readonly version: string; readonly configuration: string }
  | {
      readonly event: 'database.migrated'
      readonly applied: number
      /** Users of a database that was adopted. */
      readonly adopted?: number | undefined
      readonly detail?: string | undefined
    }
  | { readonly event: 'administration.forbidden'; readonly username: string; readonly address: Address }

type Address = string | undefined

interface KeyFacts {
  /** Null for HS256. */
  readonly kid: string | null
  readonly algorithm: string
  readonly signs_from: string
}

/** Only logged. Clients get the same response in each case. */
export type LoginFailure = 'unknown_user' | 'wrong_password' | 'unusable_hash' | 'inactive_user' | 'changed_meanwhile'

/** Only logged, except `scope`. Clients get the same response for the others. */
export type ApiKeyRefusal = 'malformed' | 'unknown' | 'revoked' | 'expired' | 'scope'
