import type { PresentedEvent } from '../../../domain/audit/presentEvent.ts'
import type { Finding } from '../../../domain/auditVerification/findings.ts'
import { AppError } from '../../../error.ts'
import { printable } from '../../../telemetry/log.ts'
import type { Command, CommandEnvironment, CommandInput, ExitCode } from '../../command.ts'
import { perform } from '../../control/perform.ts'
import { jsonText, table } from '../../terminal/table.ts'

const listedByDefault = 50
const followInterval = 1000

const list: Command = {
  name: 'audit list',
  summary: 'List the newest records of the audit log',
  arguments: [],
  flags: {
    user: { value: 'NAME', doc: 'Only records by or about this user' },
    type: { value: 'TYPE', doc: 'Only records of this type, such as login.failed' },
    limit: { value: 'NUMBER', doc: `How many, 1 to 1000 (default: ${listedByDefault})` },
    follow: { doc: 'Go on with new records until interrupted' },
    json: { doc: 'Print one JSON object per line' },
  },
  run: async (environment, input): Promise<ExitCode> => {
    const filter = filterOf(input)
    const newest = (await perform(environment, 'listAudit', filter)).toReversed()
    const print = printer(environment, input.flags.has('json'))
    print(newest)
    let from = (newest.at(-1)?.index ?? -1) + 1
    while (input.flags.has('follow')) {
      await Bun.sleep(followInterval)
      const added = await perform(environment, 'listAudit', { ...filter, from })
      print(added)
      from = (added.at(-1)?.index ?? from - 1) + 1
    }
    return 0
  },
}

const show: Command = {
  name: 'audit show',
  summary: 'Show one record of the audit log',
  arguments: ['INDEX'],
  flags: {},
  run: async (environment, { arguments: [text = ''] }): Promise<ExitCode> => {
    if (!/^\d{1,15}$/.test(text)) throw new AppError('usage', 'INDEX must be a number, such as 42.')
    environment.stdout(jsonText(await perform(environment, 'showAudit', { index: Number(text) })))
    return 0
  },
}

const verify: Command = {
  name: 'audit verify',
  summary: 'Check that no record of the audit log was changed or removed',
  details: 'Exits with 0 if the log is whole, 1 if it was tampered with, and 3 if it could not be checked.',
  arguments: [],
  flags: { json: { doc: 'Print JSON' } },
  run: async (environment, { flags }): Promise<ExitCode> => {
    const { stdout, stderr } = environment
    try {
      const { listed, ...report } = await perform(environment, 'verifyAudit', {})
      if (flags.has('json')) stdout(jsonText({ ...report, listed }))
      else {
        for (const finding of listed) stdout(`${printable(findingText(finding))}\n`)
        for (const note of report.notes) stdout(`Note: ${note}.\n`)
        stdout(`Records: ${report.size}. Pending: ${report.pending}. Findings: ${report.findings}.\n`)
      }
      return report.findings > 0 ? 1 : 0
    } catch (error) {
      if (!(error instanceof AppError) || error.code === 'usage') throw error
      stderr(`audittrail: the audit log could not be checked: ${error.message}\n`)
      return 3
    }
  },
}

const restored: Command = {
  name: 'audit restored',
  summary: 'Accept the audit log after a restore or a failover that lost commits',
  arguments: [],
  flags: {},
  run: async (environment): Promise<ExitCode> => {
    const { origin, size } = await perform(environment, 'restoreAudit', {})
    environment.stdout(`Accepted ${size} records. The log continues as ${origin}.\n`)
    return 0
  },
}

function filterOf({ flags }: CommandInput) {
  const [limit = String(listedByDefault)] = flags.get('limit') ?? []
  if (!/^([1-9]\d{0,2}|1000)$/.test(limit)) throw new AppError('usage', '--limit must be a number from 1 to 1000.')
  const [username] = flags.get('user') ?? []
  const [type] = flags.get('type') ?? []
  return {
    limit: Number(limit),
    ...(username === undefined ? {} : { username }),
    ...(type === undefined ? {} : { type }),
  }
}

function printer({ stdout }: CommandEnvironment, isJson: boolean): (events: readonly PresentedEvent[]) => void {
  let isFirst = true
  return (events) => {
    if (isJson) for (const event of events) stdout(`${JSON.stringify(event)}\n`)
    else if (events.length > 0 || isFirst) stdout(table(isFirst ? headings : [], events.map(rowOf)).replace(/^\n/, ''))
    isFirst = false
  }
}

const headings = ['INDEX', 'TIME', 'TYPE', 'OUTCOME', 'BY', 'ABOUT', 'ADDRESS']

function rowOf({ index, time, type, outcome, by, about }: PresentedEvent): string[] {
  return [
    String(index),
    time,
    type,
    outcome,
    by.username ?? by.kind,
    about?.username ?? about?.id ?? '',
    by.address ?? '',
  ]
}

function findingText({ index, time, type, problem }: Finding): string {
  return index === undefined ? problem : `record ${index} (${time} ${type}) ${problem}`
}

export const auditCommands: readonly Command[] = [list, show, verify, restored]
