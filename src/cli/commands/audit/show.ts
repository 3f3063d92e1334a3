import type { PresentedEvent, PresentedParty } from '../../../domain/audit/presentEvent.ts'
import { AppError } from '../../../error.ts'
import { printable } from '../../../telemetry/log.ts'
import type { Command, ExitCode } from '../../command.ts'
import { readAuditLog } from '../../control/auditLog.ts'
import { jsonText } from '../../terminal/table.ts'
import { factText } from './factText.ts'

export const show: Command = {
  name: 'audit show',
  summary: 'Show one record of the audit log',
  arguments: ['INDEX'],
  flags: { json: { doc: 'Print JSON' } },
  run: async (environment, { arguments: [text = ''], flags }): Promise<ExitCode> => {
    if (!/^\d{1,15}$/.test(text)) throw new AppError('usage', 'INDEX must be a number, such as 42.')
    const event = await readAuditLog(environment, 'showAudit', { index: Number(text) })
    environment.stdout(flags.has('json') ? jsonText(event) : eventText(event))
    return 0
  },
}

function eventText({ by, about, facts, ...event }: PresentedEvent): string {
  const rows: [name: string, value: unknown][] = [
    ...Object.entries(event),
    ...partyRows('by', by),
    ...(about ? partyRows('about', about) : []),
    ...Object.entries(facts),
  ]
  const shown = rows.filter(([, value]) => value !== null && value !== undefined)
  const width = Math.max(...shown.map(([name]) => name.length)) + 2
  return shown
    .map(([name, value]) => `${printable(`${name.padEnd(width)}${factText(value)}`.replace(/\p{Cc}/gu, ' '))}\n`)
    .join('')
}

function partyRows(role: string, party: PresentedParty): [name: string, value: unknown][] {
  const { erased, ...rest } = party
  return Object.entries(erased ? party : rest).map(([name, value]) => [`${role}.${name}`, value])
}
