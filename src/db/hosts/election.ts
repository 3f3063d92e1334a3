import { AppError } from '../../error.ts'
import type { HostState } from './hostState.ts'

/** A host as it was last checked. */
export interface CheckedHost {
  /** Names it in messages. */
  readonly label: string
  /** Undefined if the last check failed. */
  readonly state: HostState | undefined
  /** Why the last check failed. */
  readonly failure: AppError | undefined
}

/**
 * Returns the primary: it is on the highest timeline that was ever seen. Of several, `current`
 * stays, then a writable one comes first, then the order of the list decides.
 */
export function elect<T extends CheckedHost>(
  hosts: readonly T[],
  highest: number,
  current: T | undefined,
): T | undefined {
  const primaries = hosts.filter(({ state }) => state && !state.isStandby && state.timeline >= highest)
  if (current && primaries.includes(current)) return current
  return primaries.find(({ state }) => !state?.isReadOnly) ?? primaries[0]
}

/**
 * Returns whether a standby has more than the primary of its timeline ever wrote, and therefore
 * follows another one. The primary's state must be the later of the two.
 */
export function isAhead(standby: HostState | undefined, primary: HostState): boolean {
  return standby !== undefined && mayBeAhead(standby, primary.timeline) && standby.position > primary.position
}

/** Returns whether only the positions can tell. */
export function mayBeAhead({ isStandby, isExact, timeline }: HostState, primaryTimeline: number): boolean {
  return isStandby && !isExact && timeline === primaryTimeline
}

/** Says why there is no primary. `refused` only if that is so for every host. */
export function explainAbsence(hosts: readonly CheckedHost[], highest: number): AppError {
  const failures = hosts.flatMap(({ label, failure }) => (failure ? [{ label, failure }] : []))
  const stale = hosts.find(({ state }) => state && !state.isStandby && state.timeline < highest)
  if (stale) return new AppError('unavailable', staleText(stale.label, stale.state?.timeline ?? 0))
  const [worst] = [...failures.filter(({ failure }) => failure.code !== 'refused'), ...failures]
  if (!worst)
    return new AppError('unavailable', 'No host in DATABASE_URL is a primary. Promote a standby, or add the primary.')
  const { code, message } = worst.failure
  const isRefused = code === 'refused' && failures.length === hosts.length
  return new AppError(isRefused ? 'refused' : 'unavailable', `${message} Host: ${worst.label}.`, {
    cause: worst.failure,
  })
}

/** Says why a primary is not used. */
export function staleText(label: string, timeline: number): string {
  return `A host in DATABASE_URL is on a higher timeline than ${label}, which is on ${timeline} and lacks later changes, so it is not used. Stop it, and make the new primary reachable. Restart AuditTrail if the higher timeline is lost.`
}
