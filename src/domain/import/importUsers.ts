import type { Duplicate, StagedUser, Staging } from '../../db/statements/importStaging.ts'
import type { Deps } from '../deps.ts'
import { record } from '../events.ts'
import type { FirebaseParameters } from '../hashes/scryptHashes.ts'
import { noPassword, readUser } from './importedUser.ts'
import type { ImportFormat } from './recordSplitter.ts'
import { type ImportRecord, readRecords } from './records.ts'
import { type ImportSource, translationFrom } from './sources.ts'

export interface ImportOptions {
  readonly format: ImportFormat
  /** The program whose records these are; undefined: ours. */
  readonly from: ImportSource | undefined
  readonly firebase: FirebaseParameters | undefined
  readonly isDryRun: boolean
  /** Takes what is good where something is bad. */
  readonly skipsBad: boolean
}

/** A record that cannot go in. `place` is its line, in a JSON document its number. Holds no value of the file. */
export interface BadRecord {
  readonly place: number
  readonly faults: readonly string[]
}

export interface ImportReport {
  /** Users who went in; of a dry run would have, and where bad ones were not to be skipped could have. */
  readonly good: number
  readonly bad: number
  /** Records that are no people. */
  readonly passedOver: number
  /** Of the good ones. */
  readonly withoutPassword: number
  readonly administrators: number
}

/** Records that are looked at before the database is asked. */
const batchSize = 500

/**
 * Lets the users of a file in: all of them or, where one is bad, none, unless bad ones are to be skipped. `report` hears of
 * each bad one, in the order of the file. Memory does not grow with the file.
 */
export async function importUsers(
  deps: Deps,
  by: string,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions,
  report: (bad: BadRecord) => Promise<void> | void,
): Promise<ImportReport> {
  const goesIn = ({ bad }: ImportReport) => !options.isDryRun && (bad === 0 || options.skipsBad)
  const totals = await deps.database.userTransfer.withStaging(async (staging) => {
    const staged = await stageAll(staging, source, options, report)
    if (goesIn(staged)) await staging.insertUsers()
    return staged
  })
  const { good: imported, bad: skipped, administrators } = totals
  if (goesIn(totals) && imported > 0) record(deps, { event: 'users.imported', by, imported, skipped, administrators })
  return totals
}

async function stageAll(
  staging: Staging,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions,
  report: (bad: BadRecord) => Promise<void> | void,
): Promise<ImportReport> {
  const totals = { good: 0, bad: 0, passedOver: 0, withoutPassword: 0, administrators: 0 }
  let batch = emptyBatch()
  const read = batchReader(options)

  const settle = async () => {
    const clashes = await staging.add(batch.users)
    const refused = new Set(clashes.map(({ place }) => place))
    const good = batch.users.filter(({ place }) => !refused.has(place))
    totals.good += good.length
    totals.withoutPassword += good.filter((user) => user.hashed_password === noPassword).length
    totals.administrators += good.filter(({ roles }) => roles.includes('admin')).length
    totals.passedOver += batch.passedOver
    totals.bad += batch.bad.length + clashes.length
    for (const bad of [...batch.bad, ...clashes.map(described(options))].sort((one, two) => one.place - two.place))
      await report(bad)
    batch = emptyBatch()
  }

  for await (const records of readRecords(source, options.format)) {
    for (const found of records) {
      read(found, batch)
      if (batch.users.length + batch.bad.length >= batchSize) await settle()
    }
  }
  await settle()
  return totals
}

interface Batch {
  readonly users: StagedUser[]
  readonly bad: BadRecord[]
  passedOver: number
}

function emptyBatch(): Batch {
  return { users: [], bad: [], passedOver: 0 }
}

function batchReader({ from, firebase }: ImportOptions): (found: ImportRecord, batch: Batch) => void {
  const translate = translationFrom(from, firebase)
  return (found, batch) => {
    const { place } = found
    if ('fault' in found) {
      batch.bad.push({ place, faults: [found.fault] })
      return
    }
    const fields = translate(found.fields)
    if (!fields) {
      batch.passedOver++
      return
    }
    const result = readUser(fields)
    if ('user' in result) batch.users.push({ place, ...result.user })
    else batch.bad.push({ place, faults: result.faults })
  }
}

function described({ format }: ImportOptions): (clash: Duplicate) => BadRecord {
  const word = format === 'json' ? 'user' : 'line'
  return ({ place, field, earlier }) => ({
    place,
    faults: [
      earlier === undefined
        ? `${field} is that of a user whom the database has already`
        : `${field} is that of ${word} ${earlier} already`,
    ],
  })
}
