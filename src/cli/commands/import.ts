import { bindSecretKey, migrateAndRecord, requireDatabaseKey } from '../../app/startup.ts'
import type { Finding, ImportReport } from '../../domain/import/importUsers.ts'
import { type ImportFormat, importFormats } from '../../domain/import/recordSplitter.ts'
import { type ImportSource, importSources } from '../../domain/import/sources.ts'
import { AppError } from '../../error.ts'
import { printable } from '../../telemetry/log.ts'
import type { Command, CommandEnvironment, CommandInput, ExitCode } from '../command.ts'
import { type ImportRequest, importBy } from '../control/importRequest.ts'
import { asCommand } from '../control/operations.ts'
import { hasRunningServer, requireDatabase, withApp } from '../control/perform.ts'
import { askServerToImport } from '../control/streams.ts'
import { failOnSignal, openInput, readSmallFile } from '../terminal/input.ts'
import { showProgress } from '../terminal/progress.ts'
import { jsonText } from '../terminal/table.ts'

export const importCommand: Command = {
  name: 'import',
  summary: 'Import users with password hashes, all or none',
  details: 'Use - as FILE for standard input.',
  arguments: ['FILE'],
  flags: {
    from: {
      value: 'PROGRAM',
      doc: `The program that wrote the file: ${importSources.join(', ')} (default: audittrail export)`,
    },
    format: { value: 'FORMAT', doc: `${importFormats.join(', ')} (default: from the file name)` },
    'hash-config': { value: 'FILE', doc: 'A file with the "Password hash parameters" from the Firebase console' },
    'superusers-as-admin': { doc: 'Give superusers of Django the role admin (with --from django)' },
    'dry-run': { doc: 'Report what would be imported, and change nothing' },
    'skip-bad': { doc: 'Skip invalid records' },
    json: { doc: 'Print JSON' },
  },
  run: async (environment, input): Promise<ExitCode> => {
    const request = requestOf(input)
    const isJson = input.flags.has('json')
    const file = openInput(input.arguments[0] ?? '')
    const progress = showProgress(file.size)
    const unit = request.format === 'json' ? 'user' : 'line'
    const report = ({ place, errors, warnings }: Finding) => {
      progress.clear()
      const text = errors.length > 0 ? errors.join('; ') : `warning: ${warnings.join('; ')}`
      environment.stderr(printable(`${unit} ${place}: ${text}\n`))
    }
    try {
      const result = await runImport(environment, request, failOnSignal(progress.counting(file.chunks)), report)
      progress.clear()
      if (isJson) environment.stdout(jsonText(result))
      return reportResult(environment, request, result, isJson)
    } finally {
      progress.clear()
    }
  },
}

/** Runs on the server that has the embedded database open, or in this process. */
async function runImport(
  environment: CommandEnvironment,
  request: ImportRequest,
  source: AsyncIterable<Uint8Array>,
  report: (finding: Finding) => void,
): Promise<ImportReport> {
  // Checked first, since stdin can be sent only once.
  if (await hasRunningServer(environment)) return askServerToImport(environment.config.dataDir, request, source, report)
  requireDatabase(environment.config)
  return withApp(environment, async (app) => {
    await requireDatabaseKey(app)
    // Not seeded: on an empty database the first administrator comes from the file.
    await migrateAndRecord(app)
    const result = await importBy(asCommand(app.deps), request, source, report)
    await bindSecretKey(app)
    return result
  })
}

function requestOf({ arguments: [file = ''], flags }: CommandInput): ImportRequest {
  const from = oneOf(importSources, 'from', flags.get('from')?.[0])
  const [config] = flags.get('hash-config') ?? []
  if (config !== undefined && from !== 'firebase')
    throw new AppError('usage', '--hash-config requires --from firebase.')
  const superusersAreAdministrators = flags.has('superusers-as-admin')
  if (superusersAreAdministrators && from !== 'django')
    throw new AppError('usage', '--superusers-as-admin requires --from django.')
  return {
    format: oneOf(importFormats, 'format', flags.get('format')?.[0]) ?? formatOf(file, from),
    ...(from ? { from } : {}),
    ...(config === undefined ? {} : { hashConfig: readSmallFile(config) }),
    superusersAreAdministrators,
    isDryRun: flags.has('dry-run'),
    skipsBad: flags.has('skip-bad'),
  }
}

function oneOf<Word extends string>(words: readonly Word[], flag: string, value: string | undefined): Word | undefined {
  const found = words.find((word) => word === value)
  if (value !== undefined && !found) throw new AppError('usage', `--${flag} must be one of: ${words.join(', ')}.`)
  return found
}

const formatBySuffix: Readonly<Record<string, ImportFormat>> = {
  ndjson: 'ndjson',
  jsonl: 'ndjson',
  json: 'json',
  csv: 'csv',
}
/** The format of each program, if the file name does not say. */
const formatBySource: Readonly<Record<ImportSource, ImportFormat>> = {
  django: 'json',
  keycloak: 'json',
  firebase: 'json',
  auth0: 'ndjson',
}

function formatOf(file: string, from: ImportSource | undefined): ImportFormat {
  // Auth0 also names files with one object per line `.json`.
  if (from === 'auth0') return 'ndjson'
  const named = formatBySuffix[/\.([a-z0-9]+)$/i.exec(file)?.[1]?.toLowerCase() ?? '']
  if (named) return named
  if (from) return formatBySource[from]
  if (file === '-') return 'ndjson'
  throw new AppError('usage', 'Cannot tell the format from the file name. Add --format ndjson, csv or json.')
}

function reportResult(
  { stdout, stderr, config }: CommandEnvironment,
  { format, isDryRun, skipsBad }: ImportRequest,
  result: ImportReport,
  isJson: boolean,
): ExitCode {
  const { good, bad } = result
  const records = format === 'json' ? 'users' : 'lines'
  if (result.alterTable !== undefined) stderr(`${roomAdvice(result.alterTable, config.databaseUrl !== undefined)}\n`)
  if (bad > 0 && !skipsBad) {
    const outcome = isDryRun ? 'nothing would be imported' : 'nothing was imported'
    stderr(
      `audittrail: ${counted(bad)} of ${counted(good + bad)} ${records} are invalid, so ${outcome}. Fix them, or import the rest with --skip-bad.\n`,
    )
    return 1
  }
  if (isJson) return 0
  stdout(`${isDryRun ? 'Would import' : 'Imported'} ${counted(good)} ${good === 1 ? 'user' : 'users'}.\n`)
  if (bad > 0) stdout(`Skipped ${counted(bad)} invalid ${bad === 1 ? 'record' : 'records'}.\n`)
  if (result.passedOver > 0)
    stdout(
      `Skipped ${counted(result.passedOver)} ${result.passedOver === 1 ? 'record that is not a user' : 'records that are not users'}.\n`,
    )
  if (result.administrators > 0) stdout(`Administrators: ${counted(result.administrators)}.\n`)
  if (result.withoutPassword > 0) stdout(passwordAdvice('without a password', result.withoutPassword))
  // An older server does not count them.
  if (result.unverifiable > 0) stdout(passwordAdvice('whose hash cannot be verified', result.unverifiable))
  return 0
}

function passwordAdvice(which: string, users: number): string {
  return `Users ${which}: ${counted(users)}. Set one with "audittrail user password NAME".\n`
}

function roomAdvice(alterTable: string, isServer: boolean): string {
  return isServer
    ? `To make room for the values that are too long, run: ${alterTable}`
    : `The embedded database has no SQL access. Shorten the values that are too long, or import into PostgreSQL after: ${alterTable}`
}

function counted(count: number): string {
  return count.toLocaleString('en')
}
