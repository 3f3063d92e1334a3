import { type Setting, settings } from '../settings.ts'
import { version } from '../version.ts'
import type { Command } from './command.ts'

/** What `--help` prints: all of the product on one screen. */
export function helpText(commands: readonly Command[]): string {
  const usages = commands.map(({ name, usage, summary }) => [`${name} ${usage}`.trim(), summary] as const)
  const globals = [
    ['--env-file FILE', 'read settings from a file of NAME=value lines; the environment wins over it'],
    ['--version', 'print the version'],
    ['--help', 'print this'],
  ] as const
  const variables = Object.values<Setting<unknown>>(settings).map(
    ({ env, doc, default: text }) => [env, `${doc}${text ? ` (${text})` : ''}`] as const,
  )
  return `AuditTrail ${version}: a login for your web app, in one file.

Usage: audittrail [COMMAND] [FLAGS]

Commands
${columns(usages)}
Flags
${columns(globals)}
Settings, from the environment (a secret also from a file, by the variable with _FILE behind its name)
${columns(variables)}`
}

/** What `audittrail COMMAND --help` prints. */
export function commandHelp({ name, usage, summary, flags }: Command): string {
  const rows = Object.entries(flags).map(([flag, doc]) => [`--${flag}`, doc] as const)
  return `audittrail ${`${name} ${usage}`.trim()}\n\n  ${summary}\n${rows.length > 0 ? `\n${columns(rows)}` : ''}`
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join('')
}
