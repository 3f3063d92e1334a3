import type { Duplicate, ImportedPart, ImportedUser, StagedUser, Staging } from '../../db/statements/importStaging.ts'
import { baselineRecords } from '../accountStates/entries.ts'
import { stateChange } from '../accountStates/state.ts'
import { auditedWork } from '../audit/audited.ts'
import { type AuditRecord, partyOf } from '../audit/record.ts'
import type { Deps } from '../deps.ts'
import { createWidthCheck, type WidthCheck } from './columnWidths.ts'
import { isExportedUser, readExportedUser } from './exportedUser.ts'
import { type Fields, noPassword, readUser } from './importedUser.ts'
import type { ImportFormat } from './recordSplitter.ts'
import { type ImportRecord, readRecords } from './records.ts'
import { refuseOtherProgram, type SourceOptions, translationFrom } from './sources.ts'

/** `from` is the program that wrote the file; undefined for AuditTrail's own format. */
export interface ImportOptions extends SourceOptions {
  readonly format: ImportFormat
  readonly isDryRun: boolean
  /** Import the valid records even if others are bad. */
  readonly skipsBad: boolean
}

/**
 * What is wrong with a record; without errors it can be imported. `place` is its line, in a JSON
 * document its number. Holds no value of the file.
 */
export interface Finding {
  readonly place: number
  readonly errors: readonly string[]
  readonly warnings: readonly string[]
}

/** The members are those of `import --json`. */
export interface ImportReport {
  /**
   * Valid users. They were imported unless this was a dry run, or some were bad and were not to be
   * skipped.
   */
  readonly good: number
  readonly bad: number
  /** Records that are not users, such as service accounts. */
  readonly passedOver: number
  /** Of the valid users. */
  readonly withoutPassword: number
  /** Of the valid users: those with a hash that no password can match. */
  readonly unverifiable: number
  /** Of the valid users. */
  readonly administrators: number
  /** The SQL that makes room for values that are too long for a column. */
  readonly alterTable?: string
}

/** Records that are checked against the database in one query. */
const batchSize = 500

/**
 * Imports the users of a file: all, or none if one is bad and `skipsBad` is false. Calls `report`
 * for each finding, in file order. Memory does not grow with the file. Throws `refused` if the file
 * cannot be read to its end.
 */
export async function importUsers(
  deps: Deps,
  by: string,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions,
  report: (finding: Finding) => Promise<void> | void,
): Promise<ImportReport> {
  const isImported = ({ bad }: ImportReport) => !options.isDryRun && (bad === 0 || options.skipsBad)
  return auditedWork(deps, (rowsOf) =>
    deps.database.userTransfer.withStaging(async (staging) => {
      const staged = await stageAll(staging, source, options, report)
      if (isImported(staged))
        await staging.insertUsers((part) => rowsOf(recordsOf(staged, part, by), part.isFirst ? undefined : 'further'))
      return staged
    }),
  )
}

/** Returns one record of the import, one for each administrator, and the states of all others. */
function recordsOf(staged: ImportReport, { isFirst, added, replaced, salt }: ImportedPart, by: string): AuditRecord[] {
  const { good: imported, bad: skipped, administrators } = staged
  const isAdministrator = ({ roles }: ImportedUser) => roles.includes('admin')
  return [
    ...replaced.map((user) => ({
      event: { event: 'user.deleted', username: user.username, by } as const,
      about: partyOf(user),
      state: stateChange(salt, { was: user }),
    })),
    ...(isFirst ? [{ event: { event: 'users.imported', by, imported, skipped, administrators } as const }] : []),
    ...added.filter(isAdministrator).map((user) => ({
      event: { event: 'user.imported', username: user.username, by, roles: user.roles } as const,
      about: partyOf(user),
      state: stateChange(salt, { is: user }),
    })),
    ...baselineRecords(
      salt,
      'import',
      added.filter((user) => !isAdministrator(user)),
    ),
  ]
}

async function stageAll(
  staging: Staging,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions,
  report: (finding: Finding) => Promise<void> | void,
): Promise<ImportReport> {
  const widthCheck = createWidthCheck(await staging.columnWidths(), 'the column')
  const totals = { good: 0, bad: 0, passedOver: 0, withoutPassword: 0, unverifiable: 0, administrators: 0 }
  let batch = emptyBatch()
  const addRecord = batchReader(options, widthCheck)

  const stageBatch = async () => {
    const duplicates = await staging.add(batch.users)
    const duplicatePlaces = new Set(duplicates.map(({ place }) => place))
    const isGood = ({ place }: { readonly place: number }) => !duplicatePlaces.has(place)
    const good = batch.users.filter(isGood)
    const warned = batch.warned.filter(isGood)
    totals.good += good.length
    totals.withoutPassword += good.filter((user) => user.hashed_password === noPassword).length
    totals.unverifiable += warned.length
    totals.administrators += good.filter(({ roles }) => roles.includes('admin')).length
    totals.passedOver += batch.skipped
    const bad = [...batch.bad, ...duplicates.map((duplicate) => badDuplicate(duplicate, options))]
    totals.bad += bad.length
    const findings = [...bad, ...warned].sort((first, second) => first.place - second.place)
    for (const finding of findings) await report(finding)
    batch = emptyBatch()
  }

  for await (const records of readRecords(source, options.format, options.from === 'keycloak')) {
    for (const found of records) {
      addRecord(found, batch)
      if (batch.users.length + batch.bad.length >= batchSize) await stageBatch()
    }
  }
  await stageBatch()
  const alterTable = widthCheck.alterTable()
  return alterTable === undefined ? totals : { ...totals, alterTable }
}

interface Batch {
  readonly users: StagedUser[]
  readonly bad: Finding[]
  /** Findings about users that can be imported. */
  readonly warned: Finding[]
  /** Records that are not users. */
  skipped: number
}

function emptyBatch(): Batch {
  return { users: [], bad: [], warned: [], skipped: 0 }
}

function batchReader(options: ImportOptions, widthCheck: WidthCheck): (found: ImportRecord, batch: Batch) => void {
  const translate = translationFrom(options)
  const read = (fields: Fields) =>
    options.from === undefined && isExportedUser(fields) ? readExportedUser(fields) : readUser(fields)
  let isFirst = true
  return (found, batch) => {
    const { place } = found
    if (isFirst && options.from === undefined && 'fields' in found) refuseOtherProgram(found.fields)
    isFirst = false
    const reject = (errors: readonly string[]) => batch.bad.push({ place, errors, warnings: [] })
    if ('error' in found) {
      reject([found.error])
      return
    }
    const fields = translate(found.fields)
    if (!fields) {
      batch.skipped++
      return
    }
    const result = read(fields)
    const errors = 'user' in result ? widthCheck.errorsOf(result.user) : result.errors
    if (!('user' in result) || errors.length > 0) {
      reject(errors)
      return
    }
    batch.users.push({ place, ...result.user })
    if (result.warnings.length > 0) batch.warned.push({ place, errors: [], warnings: result.warnings })
  }
}

function badDuplicate({ place, field, earlier }: Duplicate, { format }: ImportOptions): Finding {
  const noun = format === 'json' ? 'user' : 'line'
  const error =
    earlier === undefined
      ? `${field} already belongs to a user in the database`
      : `${field} is the same as that of ${noun} ${earlier}`
  return { place, errors: [error], warnings: [] }
}
