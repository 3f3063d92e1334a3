import { type Setting, settings } from '../config/settings.ts'
import { version } from '../version.ts'
import type { Command } from './command.ts'

/** What `--help` prints: all of the product on one screen. */
export function helpText(commands: readonly Command[]): string {
  const usages = commands.map((command) => [usageOf(command), command.summary] as const)
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
export function commandHelp(command: Command): string {
  const rows = Object.entries(command.flags).map(
    ([name, { takes, doc }]) => [`--${name}${takes ? ` ${takes}` : ''}`, doc] as const,
  )
  return `audittrail ${usageOf(command)}\n\n  ${command.summary}\n${rows.length > 0 ? `\n${columns(rows)}` : ''}`
}

function usageOf({ name, words, flags }: Command): string {
  const shown = Object.entries(flags).map(
    ([flag, { takes, isRepeatable }]) => `[--${flag}${takes ? ` ${takes}` : ''}]${isRepeatable ? '…' : ''}`,
  )
  return [name, ...words, ...shown].join(' ')
}

const longestColumn = 32

function columns(rows: readonly (readonly [string, string])[]): string {
  // What is longer than the rest by far has its explanation below it.
  const width = Math.min(longestColumn, Math.max(...rows.map(([left]) => left.length)))
  return rows
    .map(([left, right]) =>
      left.length > width ? `  ${left}\n  ${' '.repeat(width)}  ${right}\n` : `  ${left.padEnd(width)}  ${right}\n`,
    )
    .join('')
}
