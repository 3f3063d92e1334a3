import type { Account } from '../../db/audit/accounts.ts'
import { type Chain, withoutState } from '../accountStates/chains.ts'
import { differencesOf, hasNoRoles, stateOf } from '../accountStates/state.ts'

export interface Judgement {
  /** `covered` accounts are compared with the log. The others cannot be. */
  readonly coverage: 'covered' | 'madeBySql' | 'notCovered' | 'absent'
  /** What is wrong, with the index of the record that shows it, if one does. */
  readonly problems: readonly { readonly problem: string; readonly index: number | undefined }[]
}

type Problem = Judgement['problems'][number]

export interface Compared {
  readonly id: string
  /** Undefined: it does not exist. */
  readonly account: Account | undefined
  readonly chain: Chain
  /** Whether the log covers every account that this service knows. */
  readonly isComplete: boolean
  /** The index of the record that took away a state that the account did not have. */
  readonly indexOf: (state: string) => number | undefined
}

/**
 * Compares an account with what the log says of it. An account without roles that SQL has made is
 * no problem: other programs may add users.
 */
export function judge(salt: Buffer, compared: Compared): Judgement {
  const { account, chain, isComplete } = compared
  if (chain.kind === 'states') {
    const problems = [...changeProblems(salt, compared), ...currentProblems(salt, compared)]
    return { coverage: account ? 'covered' : 'absent', problems }
  }
  if (!account) return { coverage: 'absent', problems: [] }
  if (chain.kind === 'lost' || !isComplete) return { coverage: 'notCovered', problems: [] }
  const problem = `${nameOf(compared)} has roles, but was not created by this service`
  return { coverage: 'madeBySql', problems: account.roles.length > 0 ? [{ problem, index: undefined }] : [] }
}

/** Returns changes by SQL that a later change of this service has shown. */
function changeProblems(salt: Buffer, compared: Compared): readonly Problem[] {
  const { id, chain, indexOf } = compared
  const { origin, missing } = chain
  // SQL made it, without roles, or it was there before the log covered accounts.
  const isOrigin = ({ state }: { readonly state: string }) =>
    state !== withoutState && (origin === 'uncovered' || hasNoRoles(salt, id, state))
  const first = origin === 'begun' ? -1 : missing.findIndex(isOrigin)
  return missing
    .filter((_, position) => position !== first)
    .map(({ state }) => ({
      problem:
        state === withoutState
          ? `has no states of ${nameOf(compared)}, because someone had removed the salt of account states`
          : `shows that ${nameOf(compared)} had been changed outside of this service`,
      index: indexOf(state),
    }))
}

function currentProblems(salt: Buffer, compared: Compared): readonly Problem[] {
  const { account, chain } = compared
  if (chain.missing.some(({ state }) => state === withoutState)) return []
  const problem = currentProblem(salt, account, chain)
  return problem === undefined ? [] : [{ problem: `${nameOf(compared)} ${problem}`, index: undefined }]
}

function currentProblem(salt: Buffer, account: Account | undefined, { current }: Chain): string | undefined {
  const [expected] = current
  if (!account) return expected === undefined ? undefined : 'was deleted outside of this service'
  if (expected === undefined) return 'was deleted by this service, but exists'
  const state = stateOf(salt, account)
  if (current.includes(state)) return undefined
  const { roles, rest } = differencesOf(expected, state)
  const changed = [...(roles ? ['its roles'] : []), ...(rest ? ['its password, username or status'] : [])]
  return `had ${changed.join(' and ')} changed outside of this service`
}

function nameOf({ id, account }: Compared): string {
  return account ? `the account ${JSON.stringify(account.username)} (${id})` : `the account ${id}`
}
