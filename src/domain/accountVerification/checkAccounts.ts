import type { Account } from '../../db/audit/accounts.ts'
import type { Database } from '../../db/database.ts'
import { commitmentOfSalt, stateOf } from '../accountStates/state.ts'
import type { AuditKeys } from '../audit/auditKeys.ts'
import type { Find } from '../auditVerification/findings.ts'
import type { VerifyDeps } from '../auditVerification/verify.ts'
import { type AccountStates, readAccountStates } from './readStates.ts'
import { createSuspects } from './suspects.ts'

type Audit = Database['audit']

const pageSize = 500
/** Accounts whose states are in memory at a time: about 250 bytes each. */
const partSize = 100_000

/**
 * Compares each account with the states in the log, so that a role granted or a password set by
 * plain SQL is found. Returns notes.
 */
export async function checkAccounts(
  { database: { audit }, keys }: Pick<VerifyDeps, 'database' | 'keys'>,
  find: Find,
  onPage: () => void | Promise<void> = () => {},
): Promise<readonly string[]> {
  const counts = { notCovered: 0, madeBySql: 0 }
  for (let after: string | undefined; ; ) {
    const last = await audit.findAccountAfter(after, partSize)
    const result = await checkPart({ audit, keys, find, onPage }, { after, last })
    if ('notes' in result) return result.notes
    counts.notCovered += result.counts.notCovered
    counts.madeBySql += result.counts.madeBySql
    if (last === undefined) return notesOf(counts)
    after = last
  }
}

/** Accounts by id. */
interface Part {
  /** Undefined: from the first. */
  readonly after: string | undefined
  /** Undefined: to the last. */
  readonly last: string | undefined
}

interface CheckDeps {
  readonly audit: Audit
  readonly keys: AuditKeys
  readonly find: Find
  /** Called after each page of accounts or records. Ends the check if it throws. */
  readonly onPage: () => void | Promise<void>
}

/** Returns notes if the accounts cannot be checked. */
async function checkPart({ audit, keys, find, onPage }: CheckDeps, part: Part) {
  const setting = await audit.readAccountSetting()
  const { salt } = setting
  const { size } = await audit.readHead(() => [])
  const { after = '', last = '~' } = part
  const includes = (id: string) => id > after && id <= last
  const states = await readAccountStates(audit, keys, size, { includes, onPage })
  if (!salt || [...states.salts].some((hash) => hash !== commitmentOfSalt(salt))) {
    find(
      'the salt of account states is missing or changed, so no account was checked; restore the table audittrail_audit_accounts from a backup',
    )
    return { notes: [] }
  }
  const suspects = createSuspects(audit, keys, salt, states, includes)
  const isWhole = (await addAll({ audit, salt, states, part, onPage }, suspects.add)) && (await suspects.finish())
  if (!isWhole || (await states.isOvertaken()))
    return {
      notes: ['accounts were not checked: too many events are pending, or records were pruned during the check'],
    }
  for (const { problem, index } of suspects.problems()) find(problem, await recordAt(audit, index))
  if (!states.isCarried && part.last === undefined)
    find('the account states of the pruned records are missing, or not in the log yet')
  const isMissing = setting.isComplete && !suspects.isComplete() && !states.isPruned
  if (isMissing && part.last === undefined)
    find('the baseline of accounts is recorded as complete, but the log has none')
  return { counts: suspects.counts() }
}

interface PartToAdd extends Pick<CheckDeps, 'audit' | 'onPage'> {
  readonly salt: Buffer
  readonly states: AccountStates
  readonly part: Part
}

/** Adds every account that is not as the log says, or seems so because it has changed since. */
async function addAll(
  { audit, salt, states: { chains }, part, onPage }: PartToAdd,
  add: (ids: readonly string[]) => Promise<boolean>,
): Promise<boolean> {
  const isExpected = (account: Account) => chains.stateOf(account.id) === stateOf(salt, account)
  for (let { after } = part; ; ) {
    const page = await audit.listAccounts(after, part.last, pageSize)
    if (page.length === 0) break
    after = page.at(-1)?.id
    await onPage()
    if (!(await add(page.filter((account) => !isExpected(account)).map(({ id }) => id)))) return false
  }
  if (!(await add(chains.unusual()))) return false
  let ids: string[] = []
  const addMissing = async () => {
    const existing = new Set(await audit.findExisting(ids))
    const missing = ids.filter((id) => !existing.has(id))
    ids = []
    return add(missing)
  }
  for (const id of chains.existing()) {
    ids.push(id)
    if (ids.length >= pageSize && !(await addMissing())) return false
  }
  return addMissing()
}

async function recordAt(audit: Audit, index: number | undefined) {
  if (index === undefined) return undefined
  const [event] = await audit.listEvents({ from: index, before: index + 1, limit: 1 })
  return event
}

function notesOf({ notCovered, madeBySql }: { readonly notCovered: number; readonly madeBySql: number }) {
  return [
    ...(notCovered > 0
      ? [`${counted(notCovered)} not covered: the log has no state for ${notCovered === 1 ? 'it' : 'them'}`]
      : []),
    ...(madeBySql > 0
      ? [
          `${counted(madeBySql, ' made by SQL')} not covered until this service changes ${madeBySql === 1 ? 'it' : 'them'}`,
        ]
      : []),
  ]
}

function counted(count: number, which = ''): string {
  return count === 1 ? `1 account${which} is` : `${count.toLocaleString('en')} accounts${which} are`
}
