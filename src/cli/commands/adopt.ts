import { type AdoptionCheck, checkAdoption } from '../../domain/users/adoptionCheck.ts'
import { AppError } from '../../error.ts'
import { printable } from '../../telemetry/log.ts'
import type { Command, ExitCode } from '../command.ts'
import { withApp } from '../control/perform.ts'
import { jsonText } from '../terminal/table.ts'

export const adopt: Command = {
  name: 'adopt',
  summary: 'Check whether an existing database can be adopted',
  details:
    'Prints what is in the way and the SQL that removes it, and how many password hashes cannot be verified. Changes nothing: "audittrail migrate" adopts. Exits with 1 if something is in the way.',
  arguments: [],
  flags: {
    check: { doc: 'Required, since the command only checks' },
    json: { doc: 'Print JSON' },
  },
  run: async (environment, { flags }): Promise<ExitCode> => {
    if (!flags.has('check'))
      throw new AppError('usage', 'Add --check: this command only checks. "audittrail migrate" adopts the database.')
    if (!environment.config.databaseUrl)
      throw new AppError('usage', 'DATABASE_URL is not set. Set it to the database that AuditTrail should adopt.')
    const check = await withApp(environment, ({ deps }) => checkAdoption(deps))
    environment.stdout(
      flags.has('json')
        ? jsonText({ ...check, unverifiable: Object.fromEntries(check.unverifiable) })
        : printable(checkText(check)),
    )
    return check.blockers.length > 0 ? 1 : 0
  },
}

function checkText(check: AdoptionCheck): string {
  const { blockers, notes } = check
  return [
    ...foundLines(check),
    ...blockers.flatMap((blocker, index) => blockerLines(blocker, index + 1)),
    ...notes.map((note) => `Note: ${note}`),
    '',
    verdict(check),
  ]
    .map((line) => `${line.replace(/\p{Cc}/gu, ' ')}\n`)
    .join('')
}

function foundLines({ state, table, verifiable, unverifiable }: AdoptionCheck): string[] {
  if (!table) return ['Found: no table "users".']
  const { name, kind, owner, users, otherColumns, addedColumns, changedColumns } = table
  const count = users === undefined ? 'an unknown number of users' : counted(users, 'user')
  const lines = [`Found: the ${kind} ${name} with ${count}, owned by ${owner}.`]
  if (state === 'migrated') lines.push('AuditTrail already uses this database.')
  if (addedColumns.length > 0) lines.push(`Adds the columns: ${addedColumns.join(', ')}.`)
  if (changedColumns.length > 0) lines.push(`Widens the columns: ${changedColumns.join(', ')}.`)
  if (otherColumns.length > 0) lines.push(`Leaves the columns: ${otherColumns.join(', ')}.`)
  const total = [...unverifiable.values()].reduce((sum, number) => sum + number, 0)
  if (users !== undefined)
    lines.push(
      `Password hashes: ${verifiable.toLocaleString('en')} can be verified, ${total.toLocaleString('en')} cannot.`,
    )
  if (total > 0) {
    for (const [what, number] of unverifiable) lines.push(`  ${number.toLocaleString('en')}: ${what}`)
    lines.push('  Those users need a new password: audittrail user password NAME')
  }
  return lines
}

function blockerLines(
  { problem, rows = [], sql, afterwards = [] }: AdoptionCheck['blockers'][number],
  number: number,
): string[] {
  return [
    '',
    `Problem ${number}: ${problem}.`,
    ...rows.map((row) => `  ${row}`),
    ...sqlLines('SQL that removes the problem:', sql),
    ...sqlLines('SQL to run after "audittrail migrate":', afterwards),
  ]
}

function sqlLines(heading: string, statements: readonly string[]): string[] {
  return statements.length === 0
    ? []
    : [`  ${heading}`, ...statements.flatMap((statement) => statement.split('\n')).map((line) => `    ${line}`)]
}

function verdict({ state, blockers }: AdoptionCheck): string {
  if (blockers.length > 0)
    return `Blocked by ${counted(blockers.length, 'problem')}. Then run "audittrail adopt --check" again.`
  if (state === 'migrated') return 'Nothing is in the way.'
  if (state === 'empty') return 'There is nothing to adopt. "audittrail migrate" creates all tables.'
  return 'Adoptable: nothing is in the way. Run "audittrail migrate".'
}

function counted(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`
}
