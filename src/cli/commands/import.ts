import { migrateDatabase } from '../../app/app.ts'
import type { BadRecord, ImportReport } from '../../domain/import/importUsers.ts'
import { type ImportFormat, importFormats } from '../../domain/import/recordSplitter.ts'
import { type ImportSource, importSources } from '../../domain/import/sources.ts'
import { AppError } from '../../error.ts'
import { printable } from '../../telemetry/log.ts'
import type { Arguments, Command, CommandEnvironment, ExitCode } from '../command.ts'
import { type ImportRequest, importBy } from '../control/importRequest.ts'
import { askRunningServer, requireDatabase, withApp } from '../control/perform.ts'
import { askServerToImport } from '../control/streams.ts'
import { interruptible, openInput, readSmallFile } from '../terminal/input.ts'
import { showProgress } from '../terminal/progress.ts'
import { jsonText } from '../terminal/table.ts'

export const importCommand: Command = {
  name: 'import',
  summary: 'let the users of a file in with the hashes of their passwords, all or none; - is standard input',
  words: ['FILE'],
  flags: {
    from: { doc: `whose file it is: ${importSources.join(', ')}; without it, as export writes it`, takes: 'PROGRAM' },
    format: { doc: `${importFormats.join(', ')}; without it, by the name of the file`, takes: 'FORMAT' },
    'hash-config': { doc: 'a file with the "Password hash parameters" of the Firebase console', takes: 'FILE' },
    'dry-run': { doc: 'only say what would go in' },
    'skip-bad': { doc: 'take the rest where something is bad' },
    json: { doc: 'the result as JSON' },
  },
  run: async (surroundings, given): Promise<ExitCode> => {
    const asked = requestOf(given)
    const input = openInput(given.words[0] ?? '')
    const progress = showProgress(surroundings.stderr, input.size)
    const word = asked.format === 'json' ? 'user' : 'line'
    const report = ({ place, faults }: BadRecord) => {
      progress.clear()
      surroundings.stderr(printable(`${word} ${place}: ${faults.join('; ')}\n`))
    }
    try {
      const result = await carryOut(surroundings, asked, interruptible(progress.counting(input.chunks)), report)
      progress.clear()
      if (given.flags.has('json')) surroundings.stdout(jsonText(result))
      return conclude(surroundings, asked, result, given.flags.has('json'))
    } finally {
      progress.clear()
    }
  },
}

/** By the server that holds the embedded database, or else here. */
async function carryOut(
  surroundings: CommandEnvironment,
  asked: ImportRequest,
  source: AsyncIterable<Uint8Array>,
  report: (bad: BadRecord) => void,
): Promise<ImportReport> {
  // Asked first, since a file on standard input can be sent but once.
  const isHeld = (await askRunningServer(surroundings, 'migrate', {})) !== undefined
  if (isHeld) return askServerToImport(surroundings.config.dataDir, asked, source, report)
  requireDatabase(surroundings.config)
  return withApp(surroundings, async (app) => {
    // Nobody is seeded: on an empty database the file's own administrator is the first.
    await migrateDatabase(app)
    return importBy(app.deps, asked, source, report)
  })
}

function requestOf({ words: [file = ''], flags }: Arguments): ImportRequest {
  const from = oneOf(importSources, 'from', flags.get('from')?.[0])
  const [config] = flags.get('hash-config') ?? []
  if (config !== undefined && from !== 'firebase')
    throw new AppError('usage', '--hash-config goes with --from firebase.')
  return {
    format: oneOf(importFormats, 'format', flags.get('format')?.[0]) ?? formatOf(file, from),
    ...(from ? { from } : {}),
    ...(config === undefined ? {} : { hashConfig: readSmallFile(config) }),
    isDryRun: flags.has('dry-run'),
    skipsBad: flags.has('skip-bad'),
  }
}

function oneOf<Word extends string>(words: readonly Word[], flag: string, given: string | undefined): Word | undefined {
  const found = words.find((word) => word === given)
  if (given !== undefined && !found) throw new AppError('usage', `--${flag} takes one of: ${words.join(', ')}.`)
  return found
}

const byEnding: Readonly<Record<string, ImportFormat>> = { ndjson: 'ndjson', jsonl: 'ndjson', json: 'json', csv: 'csv' }
/** What each program writes, where the name of the file does not tell. */
const usual: Readonly<Record<ImportSource, ImportFormat>> = {
  django: 'json',
  keycloak: 'json',
  firebase: 'json',
  auth0: 'ndjson',
}

function formatOf(file: string, from: ImportSource | undefined): ImportFormat {
  // Auth0 names one object a line `.json` too.
  if (from === 'auth0') return 'ndjson'
  const named = byEnding[/\.([a-z0-9]+)$/i.exec(file)?.[1]?.toLowerCase() ?? '']
  if (named) return named
  if (from) return usual[from]
  if (file === '-') return 'ndjson'
  throw new AppError('usage', 'The name of the file does not tell what is in it: give --format ndjson, csv or json.')
}

function conclude(
  { stdout, stderr }: CommandEnvironment,
  { format, isDryRun, skipsBad }: ImportRequest,
  result: ImportReport,
  isJson: boolean,
): ExitCode {
  const { good, bad } = result
  const records = format === 'json' ? 'users' : 'lines'
  if (bad > 0 && !skipsBad) {
    const outcome = isDryRun ? 'nothing would go in' : 'nothing went in'
    stderr(
      `audittrail: ${counted(bad)} of ${counted(good + bad)} ${records} are bad: ${outcome}. Mend them, or take the rest with --skip-bad.\n`,
    )
    return 1
  }
  if (isJson) return 0
  stdout(`${isDryRun ? 'Would import' : 'Imported'} ${counted(good)} ${good === 1 ? 'user' : 'users'}.\n`)
  if (bad > 0) stdout(`Skipped, being bad: ${counted(bad)}.\n`)
  if (result.passedOver > 0) stdout(`Passed over, being no people: ${counted(result.passedOver)}.\n`)
  if (result.administrators > 0) stdout(`With the role admin: ${counted(result.administrators)}.\n`)
  if (result.withoutPassword > 0)
    stdout(`Without a password, until "audittrail user password NAME" sets one: ${counted(result.withoutPassword)}.\n`)
  return 0
}

function counted(count: number): string {
  return count.toLocaleString('en')
}
