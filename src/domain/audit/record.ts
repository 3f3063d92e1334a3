import type { Log } from '../../telemetry/log.ts'
import type { AuditEvent } from './events.ts'

/** Who acted, or whom an event concerns. */
export interface Party {
  readonly kind: 'user' | 'api_key' | 'command' | 'system' | 'anonymous'
  readonly id?: string | undefined
  /** Personal data: kept beside the leaf. */
  readonly username?: string | undefined
  readonly full_name?: string | undefined
  readonly session?: string | undefined
}

/** Where a call comes from. */
export interface Source {
  readonly by?: Party | undefined
  readonly request?: string | undefined
  readonly address?: string | undefined
  readonly agent?: string | undefined
}

export type Outcome = 'done' | 'refused'

/** An event with its context: what the log line and the record in the audit log are made of. */
export interface AuditRecord {
  readonly event: AuditEvent
  /** Defaults to the caller. */
  readonly by?: Party | undefined
  readonly about?: Party | undefined
  readonly session?: string | undefined
  /** The MAC of an entered username. Personal data: kept beside the leaf. */
  readonly account?: string | undefined
  /** What a change of an account made of it. */
  readonly state?: StateChange | undefined
}

/** The states of an account before and after a change, as `accountStates/state.ts` makes them. */
export interface StateChange {
  /** Undefined: the account is new. */
  readonly was?: string | undefined
  /** Undefined: the account is deleted. */
  readonly is?: string | undefined
  /** Whether the states could not be made. */
  readonly missing?: true
}

export function outcomeOf({ event }: AuditEvent): Outcome {
  return refusals.includes(event) ? 'refused' : 'done'
}

/** Returns the type of an event in the audit log: its name, or a finer one. */
export function typeOf(event: AuditEvent): string {
  if (event.event !== 'user.changed') return event.event
  // What gives access must not hide behind what is changed with it.
  if (event.fields.includes('roles')) return 'user.roles_changed'
  if (event.fields.includes('is_active')) return event.is_active ? 'user.enabled' : 'user.disabled'
  return event.event
}

/** Members of log lines that name a person or an address, or that the leaf has elsewhere. */
const elsewhere = ['event', 'username', 'by', 'address', 'session', 'network', 'leaf', 'listed']

/** Returns the facts of an event for the leaf: nothing that identifies a person. */
export function factsOf(event: AuditEvent): Readonly<Record<string, unknown>> {
  const { event: name } = event
  const kept = Object.entries(event).filter(([member, value]) => value !== undefined && !elsewhere.includes(member))
  // Not an actor here, but how the session ended.
  return { ...Object.fromEntries(kept), ...(name === 'session.ended' ? { by: event.by } : {}) }
}

/** Identifies a user in the audit log. */
export function partyOf(
  user: { readonly id: string; readonly username: string; readonly full_name?: string },
  session?: string,
): Party {
  return { kind: 'user', id: user.id, username: user.username, full_name: user.full_name, session }
}

/** Events of what was refused. */
export const refusals: readonly AuditEvent['event'][] = [
  'login.failed',
  'login.throttled',
  'session.replayed',
  'password.change_failed',
  'password.change_throttled',
  'api_key.refused',
  'administrator.spared',
  'administration.forbidden',
  'token.refused',
]

/** A refused token is common: most have expired. */
const warnings = [...refusals.filter((event) => event !== 'token.refused'), 'audit.suppressed']
const errors: readonly AuditEvent['event'][] = ['audit.missing']

/** Logs an event. Of the states of accounts, only how many there are: they are many records. */
export function logEvent({ log }: { readonly log: Log }, recorded: AuditEvent): void {
  const { event, ...facts } = recorded
  const isTampered = recorded.event === 'audit.verified' && recorded.result === 'tampered'
  if ('accounts' in facts) log.debug(event, { ...facts, accounts: facts.accounts.length })
  else if (isTampered || errors.includes(event)) log.error(event, facts)
  else if (warnings.includes(event)) log.warn(event, facts)
  else log.info(event, facts)
}
