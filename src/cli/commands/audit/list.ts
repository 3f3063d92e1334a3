import type { PresentedEvent, PresentedParty } from '../../../domain/audit/presentEvent.ts'
import { AppError } from '../../../error.ts'
import { watchReader } from '../../../system/closedReader.ts'
import type { Command, CommandEnvironment, ExitCode } from '../../command.ts'
import { readAuditLog, withAuditLog } from '../../control/auditLog.ts'
import type { AuditList, AuditQuery } from '../../control/auditOperations.ts'
import { askRunningServer } from '../../control/perform.ts'
import { awaitInterruption, type Interruption } from '../../terminal/interruption.ts'
import { growingTable } from '../../terminal/table.ts'
import { factText } from './factText.ts'
import { filterFlags, queryOf } from './filters.ts'

/** Milliseconds between two queries for new records. */
const followInterval = 1000
const longestPage = 1000

export const list: Command = {
  name: 'audit list',
  summary: 'List the newest records of the audit log',
  details: 'Times are in UTC. Records are printed in the order of the log, the newest last.',
  arguments: [],
  flags: {
    ...filterFlags,
    follow: { doc: 'Wait for new records and print them, until interrupted' },
    json: { doc: 'Print one JSON object per line' },
  },
  run: async (environment, input): Promise<ExitCode> => {
    const query = queryOf(input, Date.now())
    const print = printer(environment, input.flags.has('json'))
    if (input.flags.has('follow')) await follow(environment, query, print)
    else print((await readAuditLog(environment, 'listAudit', query)).events)
    return 0
  },
}

type Print = (events: readonly PresentedEvent[]) => void
type ReadPage = (query: AuditQuery) => Promise<AuditList | undefined>

async function follow(environment: CommandEnvironment, query: AuditQuery, print: Print): Promise<void> {
  const interruption = awaitInterruption()
  try {
    if (environment.config.databaseUrl)
      await withAuditLog(environment, (read) =>
        followWith(environment, query, print, interruption, (page) => read('listAudit', page)),
      )
    // A database without a server gets no new records, and must stay free for one that starts.
    else {
      const first = await readAuditLog(environment, 'listAudit', query)
      print(first.events)
      const next = { ...query, from: first.next, limit: longestPage }
      await followWith(environment, next, print, interruption, (page) =>
        askRunningServer(environment, 'listAudit', page),
      )
    }
  } finally {
    interruption.release()
  }
}

/**
 * Prints pages until interrupted. Waits for a database that is unavailable, but for the first page.
 */
async function followWith(
  { stderr }: CommandEnvironment,
  first: AuditQuery,
  print: Print,
  interruption: Interruption,
  read: ReadPage,
): Promise<void> {
  const isReaderGone = watchReader(1)
  let query = first
  let isUnavailable = false
  while (!interruption.isRequested() && !isReaderGone()) {
    const page = await read(query).catch((error: unknown) => {
      if (query === first || !(error instanceof AppError) || error.code !== 'unavailable') throw error
      if (!isUnavailable) stderr(`audittrail: ${error.message} Waiting for it.\n`)
      isUnavailable = true
      return undefined
    })
    if (page) {
      print(page.events)
      isUnavailable = false
      query = { ...query, from: page.next, limit: longestPage }
    }
    if (page?.events.length !== longestPage) await interruption.wait(followInterval)
  }
}

function printer({ stdout }: CommandEnvironment, isJson: boolean): Print {
  const format = growingTable(['INDEX', 'TIME (UTC)', 'TYPE', 'OUTCOME', 'BY', 'ABOUT', 'ADDRESS', 'DETAILS'])
  return (events) => {
    if (isJson) for (const event of events) stdout(`${JSON.stringify(event)}\n`)
    else stdout(format(events.map(rowOf)))
  }
}

function rowOf({ index, time, type, outcome, by, about, facts }: PresentedEvent): string[] {
  const details = Object.entries(facts)
    .filter(([name, value]) => value !== null && value !== undefined && !isInAbout(name))
    .map(([name, value]) => `${name}=${name === 'accounts' && Array.isArray(value) ? value.length : factText(value)}`)
  const seconds = time.slice(0, 19).replace('T', ' ')
  return [
    String(index),
    seconds,
    type,
    outcome,
    partyText(by),
    about ? partyText(about) : '-',
    by.address ?? '-',
    details.join(' '),
  ]
}

/** Facts that repeat which API key a record is about. */
function isInAbout(fact: string): boolean {
  return fact === 'api_key' || fact === 'service'
}

function partyText({ username, id, kind, erased }: PresentedParty): string {
  return `${username ?? id ?? kind}${erased ? ' (erased)' : ''}`
}
