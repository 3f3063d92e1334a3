import { AppError } from '../../error.ts'
import type { Deps } from '../deps.ts'
import { beginningOf, listVerifications, newestPending, type PastVerification, partOf } from './lastVerification.ts'
import { type FinishedVerification, findingText, recordVerification, verifyListed } from './recordVerification.ts'

/** Verifies the log once a day, on one of the replicas. */
export interface RegularVerification {
  /** Verifies the log if it is due. Throws `unavailable` if `isEnding` becomes true. */
  run(isEnding: () => boolean): Promise<void>
  state(): VerificationState
}

export interface VerificationState {
  /** When the log was last verified, or began. Milliseconds since the epoch. */
  readonly verifiedAt: number
  readonly findings: number
}

type RegularDeps = Pick<
  Deps,
  'database' | 'audit' | 'log' | 'source' | 'readKept' | 'witnesses' | 'clock' | 'monotonicClock'
>

const minute = 60_000
const day = 24 * 60 * minute
/** Milliseconds after which all records are verified, not only the new ones. */
const wholeInterval = 30 * day
/** Milliseconds that a new process waits, so that no restart begins with a verification. */
const firstPause = 10 * minute
/** The name of the claim. Claims of witnesses have a plus sign in their names. */
const claim = 'audit verification'
/** Seconds after which another process may take over a verification that was broken off. */
const claimSeconds = 3600
const renewal = 10 * minute
/** Few, so that neither this process nor the embedded database keeps a request waiting. */
const recordsPerPage = 200
/** Pause after each page, in multiples of the time that the page took. */
const leftToOthers = 4

export function createRegularVerification(deps: RegularDeps): RegularVerification {
  const { database, audit, clock, monotonicClock } = deps
  const startedAt = monotonicClock()
  let state: VerificationState = { verifiedAt: clock(), findings: 0 }
  /** When this process last verified the log, even if that could not be recorded. */
  let own: number | undefined

  const endClaim = () => database.audit.setWitness(claim, 0, undefined)
  const isDue = (time: number) => Math.abs(clock() - time) >= day

  /**
   * Returns past verifications, and when the wait for the next began. Undefined: the log is empty.
   */
  async function follow() {
    const past = await listVerifications(database.audit, audit.keys)
    const [newest] = past
    const isOwnNewer = own !== undefined && own >= (newest?.time ?? 0)
    if (newest && !isOwnNewer) state = { verifiedAt: newest.time, findings: newest.findings }
    if (newest) return { past, since: newest.time }
    const since = await beginningOf(database.audit, audit.keys)
    if (since === undefined) return undefined
    if (own === undefined) state = { verifiedAt: since, findings: 0 }
    return { past, since }
  }

  async function verifiedPart(past: readonly PastVerification[]) {
    const [newest] = past
    const isWholeRecent = past.some(
      ({ scope, findings, time }) => scope === 'whole' && findings === 0 && Math.abs(clock() - time) < wholeInterval,
    )
    return newest && isWholeRecent ? partOf(database.audit, newest) : undefined
  }

  async function verify(past: readonly PastVerification[], isEnding: () => boolean): Promise<FinishedVerification> {
    const onProgress = paceOf(deps, isEnding)
    const verified = await verifiedPart(past)
    const first = await verifyListed(deps, { verified, recordsPerPage, onProgress })
    if (first.verification.findings === 0) return first
    // A change in between, such as of SECRET_KEY, must not look like tampering.
    const listed = first.verification.listed.map(findingText)
    deps.log.warn('audit.verification_repeated', { findings: first.verification.findings, listed: listed.slice(0, 5) })
    return verifyListed(deps, { recordsPerPage, onProgress })
  }

  return {
    run: async (isEnding) => {
      const isDueNow = ({ since }: { readonly since: number }) => isDue(since) && (own === undefined || isDue(own))
      const followed = await follow()
      if (!followed || !isDueNow(followed) || monotonicClock() - startedAt < firstPause) return
      if (!(await database.audit.claimWitness(claim, claimSeconds))) return
      // Another replica may have finished in between. An event leaves the pending ones for the log.
      const pending = await newestPending(database.audit, audit.keys)
      const current = await follow()
      if (!current || !isDueNow(current) || (pending !== undefined && !isDue(pending))) return endClaim()
      const finished = await verify(current.past, isEnding)
      own = clock()
      state = { verifiedAt: own, findings: finished.verification.findings }
      const problem = await recordVerification(deps, 'housekeeping', finished)
      if (problem === undefined) await endClaim()
      else deps.log.warn('audit.not_recorded', { message: problem })
    },
    state: () => state,
  }
}

/** Returns a function that is called after each page, and lets everything else go first. */
function paceOf({ database, monotonicClock }: RegularDeps, isEnding: () => boolean): () => Promise<void> {
  let resumedAt = monotonicClock()
  let claimedAt = resumedAt
  return async () => {
    if (isEnding()) throw new AppError('unavailable', 'The server is stopping.')
    const now = monotonicClock()
    if (now - claimedAt >= renewal) {
      claimedAt = now
      await database.audit.renewClaim(claim, claimSeconds)
    }
    await Bun.sleep(Math.max(1, (now - resumedAt) * leftToOthers))
    resumedAt = monotonicClock()
  }
}
