import { type Setting, settings } from '../config/settings.ts'
import { version } from '../version.ts'
import { globalFlags, groupOf } from './arguments.ts'
import type { Command } from './command.ts'
import { wrap } from './terminal/wrap.ts'

const lineWidth = 80

/** Returns the help of one command, of the group that `words` names, or of all commands. */
export function helpText(command: Command | undefined, words: readonly string[], commands: readonly Command[]): string {
  if (command) return commandHelp(command)
  const group = groupOf(words[0] ?? '', commands)
  return group.length > 0 ? groupHelp(words[0] ?? '', group) : fullHelp(commands)
}

function fullHelp(commands: readonly Command[]): string {
  const descriptions = Object.values<Setting<unknown>>(settings).map(
    ({ env, doc, default: text }) => [env, `${doc}${text ? ` (default: ${text})` : ''}`] as const,
  )
  return `AuditTrail ${version}: a login service for your web app, in one file

Usage: audittrail [COMMAND] [ARGUMENTS] [FLAGS]

Commands:
${commandRows(commands)}
Global flags:
${flagRows(globalFlags)}
Settings (environment variables; *_FILE reads a secret from a file):
${columns(descriptions)}
Run "audittrail COMMAND --help" for the flags of a command.
`
}

function groupHelp(word: string, commands: readonly Command[]): string {
  return `Usage: audittrail ${word} COMMAND [ARGUMENTS] [FLAGS]

Commands:
${commandRows(commands)}
Run "audittrail ${word} COMMAND --help" for the flags of a command.
`
}

function commandHelp({ name, summary, details, arguments: placeholders, flags }: Command): string {
  const hasFlags = Object.keys(flags).length > 0
  const usage = ['audittrail', name, ...placeholders, ...(hasFlags ? ['[FLAGS]'] : [])].join(' ')
  const paragraph = details === undefined ? '' : `\n${paragraphs(details)}`
  return `${paragraphs(`${summary}.`)}${paragraph}\nUsage: ${usage}\n${hasFlags ? `\nFlags:\n${flagRows(flags)}` : ''}`
}

function commandRows(commands: readonly Command[]): string {
  return columns(
    commands.map(({ name, summary, arguments: placeholders }) => [[name, ...placeholders].join(' '), summary]),
  )
}

function flagRows(flags: typeof globalFlags): string {
  return columns(
    Object.entries(flags).map(([name, { doc, value, short, isRepeatable }]) => [
      `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`,
      isRepeatable && value !== undefined ? `${doc}; repeatable` : doc,
    ]),
  )
}

function paragraphs(text: string): string {
  return text
    .split('\n')
    .map((paragraph) => `${wrap(paragraph, lineWidth).join('\n')}\n`)
    .join('\n')
}

const maxColumnWidth = 28

/** Lays out rows in two columns. A left cell that is too wide gets a line to itself. */
function columns(rows: readonly (readonly [string, string])[]): string {
  const widths = rows.map(([left]) => left.length).filter((width) => width <= maxColumnWidth)
  const width = Math.max(...widths, 0)
  const indentation = ' '.repeat(width + 4)
  return rows
    .map(([left, right]) => {
      const description = wrap(right, lineWidth - indentation.length).join(`\n${indentation}`)
      const separator = left.length > width ? `\n${indentation}` : ' '.repeat(width - left.length + 2)
      return `  ${left}${separator}${description}\n`
    })
    .join('')
}
