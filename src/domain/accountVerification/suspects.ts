import type { Database } from '../../db/database.ts'
import type { AuditKeys } from '../audit/auditKeys.ts'
import { parseGenuine } from '../audit/sequencing.ts'
import { collectStates } from './collectStates.ts'
import { type Judgement, judge } from './judge.ts'
import type { AccountStates } from './readStates.ts'

/** Accounts that are not as the log says, unless they were changed while it was read. */
export interface Suspects {
  /** Adds accounts. Returns false once too many events are pending to judge them. */
  add(ids: readonly string[]): Promise<boolean>
  /** Judges those that are left, and those of pending events. */
  finish(): Promise<boolean>
  problems(): Judgement['problems']
  counts(): Readonly<Record<Judgement['coverage'], number>>
  /** Whether the log, with its pending events, covers every account that this service knows. */
  isComplete(): boolean
}

/** Accounts that are judged together. */
const batchSize = 2000
/** Pending events that are read with accounts. */
const maxPending = 20_000

export function createSuspects(
  audit: Database['audit'],
  keys: AuditKeys,
  salt: Buffer,
  states: AccountStates,
  includes: (id: string) => boolean,
): Suspects {
  const judged = new Set<string>()
  const problems: Judgement['problems'][number][] = []
  const counts = { covered: 0, madeBySql: 0, notCovered: 0, absent: 0 }
  let isComplete = false
  let waiting: string[] = []

  /**
   * Accounts, log and pending events of one moment agree, unless someone else changed an account.
   */
  const judgeWaiting = async () => {
    const ids = waiting
    waiting = []
    const snapshot = await audit.readAccounts(ids, maxPending)
    if (snapshot.pending.length === maxPending) return false
    await states.readTo(snapshot.size)
    const latest = collectStates({ chains: states.chains.copyOf(ids), isComplete: states.isComplete() })
    for (const event of snapshot.pending) {
      const leaf = parseGenuine(keys, event)
      if (leaf) latest.add(leaf, Number.POSITIVE_INFINITY)
    }
    isComplete = latest.isComplete()
    const accounts = Map.groupBy(snapshot.accounts, (account) => account.id)
    for (const id of ids) {
      const [account, another] = accounts.get(id) ?? []
      // A table that inherits from users may have another row.
      if (another) problems.push({ problem: `the account ${id} exists more than once`, index: undefined })
      const { missing } = states.chains.chainOf(id)
      const indexOf = (state: string) => missing.find((one) => one.state === state)?.index
      const chain = latest.chains.chainOf(id)
      const { coverage, problems: found } = judge(salt, { id, account, chain, isComplete, indexOf })
      counts[coverage]++
      problems.push(...found)
    }
    return true
  }

  const add = async (ids: readonly string[]) => {
    for (const id of ids) {
      if (judged.has(id)) continue
      judged.add(id)
      waiting.push(id)
    }
    return waiting.length < batchSize || judgeWaiting()
  }

  return {
    add,
    finish: async () => {
      const ids = (await pendingAccounts(audit, keys)).filter(includes)
      return (await add(ids)) && judgeWaiting()
    },
    problems: () => problems,
    counts: () => counts,
    isComplete: () => isComplete,
  }
}

/** Returns the accounts that pending events change. */
export async function pendingAccounts(audit: Database['audit'], keys: AuditKeys): Promise<readonly string[]> {
  const { pending } = await audit.readAccounts([], maxPending)
  const collected = collectStates()
  return pending.flatMap((event) => {
    const leaf = parseGenuine(keys, event)
    return leaf ? collected.add(leaf, 0) : []
  })
}
