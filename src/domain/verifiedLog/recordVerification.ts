import { describeError } from '../../telemetry/log.ts'
import { checkLogAndAccounts } from '../accountVerification/checkLogAndAccounts.ts'
import { recordAlone } from '../audit/audited.ts'
import { logEvent } from '../audit/record.ts'
import type { Finding } from '../auditVerification/findings.ts'
import type { VerifiedPart } from '../auditVerification/records.ts'
import type { CheckedLog, Verification } from '../auditVerification/verify.ts'
import type { Deps } from '../deps.ts'

export type VerifyingDeps = Pick<Deps, 'database' | 'audit' | 'log' | 'source' | 'readKept' | 'witnesses'>

/** A verification with its first findings. */
export interface ListedVerification extends Verification {
  readonly listed: readonly Finding[]
  /** Of the findings, those about accounts. Undefined for an export, which has none. */
  readonly accountFindings?: number
}

export interface FinishedVerification extends CheckedLog {
  readonly verification: ListedVerification
  readonly scope: 'whole' | 'new'
}

export interface VerificationChoice {
  /** Undefined: the whole log is verified. */
  readonly verified?: VerifiedPart | undefined
  readonly recordsPerPage?: number
  /** Ends it if it throws. */
  readonly onProgress?: (checked: number, size: number) => void | Promise<void>
}

const listedFindings = 20
const loggedFindings = 5
/** Processes with pending events in a record, so that it fits into a leaf. */
const maxPending = 100

/** Verifies the log, and records nothing. */
export async function verifyListed(
  { database, audit, readKept, witnesses }: VerifyingDeps,
  { verified, recordsPerPage, onProgress }: VerificationChoice,
): Promise<FinishedVerification> {
  const listed: Finding[] = []
  const deps = { database, keys: audit.keys, readKept, witnesses, verified }
  const checked = await checkLogAndAccounts(
    recordsPerPage === undefined ? deps : { ...deps, recordsPerPage },
    (finding) => {
      if (listed.length < listedFindings) listed.push(finding)
    },
    onProgress,
  )
  return { ...checked, verification: { ...checked.verification, listed }, scope: verified ? 'new' : 'whole' }
}

/** Records and logs a verification. Returns the reason if it could not be recorded. */
export async function recordVerification(
  deps: VerifyingDeps,
  by: string,
  { verification: { findings, listed }, scope, size, root, pending }: FinishedVerification,
): Promise<string | undefined> {
  const event = {
    event: 'audit.verified' as const,
    by,
    scope,
    result: findings === 0 ? ('intact' as const) : ('tampered' as const),
    findings,
    size,
    root: root.toString('base64'),
    ...(pending.length > maxPending ? {} : { pending: pending.map(([process, n]) => `${process} ${n}`) }),
    ...(findings === 0 ? {} : { listed: listed.slice(0, loggedFindings).map(findingText) }),
  }
  try {
    await recordAlone(deps, { event })
    return undefined
  } catch (error) {
    logEvent(deps, event)
    const { error: name, code, message } = describeError(error)
    return String(message ?? code ?? name)
  }
}

/** Returns a finding as one line. */
export function findingText({ index, time, type, problem }: Finding): string {
  return index === undefined ? problem : `record ${index} (${time} ${type}) ${problem}`
}
