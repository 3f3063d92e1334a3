import type { Setting } from '../config/parsers.ts'
import { settings } from '../config/settings.ts'
import { version } from '../version.ts'
import { globalFlags, groupOf, settingsTopic } from './arguments.ts'
import type { Command, CommandGroup } from './command.ts'
import { wrap } from './terminal/wrap.ts'

const lineWidth = 80

/**
 * Returns the help of one command, of the commands that start with the word, of the settings, or of
 * everything.
 */
export function helpText(
  command: Command | undefined,
  words: readonly string[],
  groups: readonly CommandGroup[],
): string {
  if (command) return commandHelp(command)
  const [word = ''] = words
  if (word === settingsTopic) return settingsHelp()
  const siblings = groupOf(
    word,
    groups.flatMap(({ commands }) => commands),
  )
  return siblings.length > 0 ? groupHelp(word, siblings) : fullHelp(groups)
}

function fullHelp(groups: readonly CommandGroup[]): string {
  return `AuditTrail ${version}: a login service for your web app, in one file

Usage: audittrail [COMMAND] [ARGUMENTS] [FLAGS]
Without a command, it migrates, seeds and serves.

${groupRows(groups)}Global flags:
${flagRows(globalFlags)}
"audittrail COMMAND --help" lists flags, "audittrail help settings" settings.
`
}

function settingsHelp(): string {
  const descriptions = Object.values<Setting<unknown>>(settings).map(
    ({ env, doc, default: text }) => [env, `${doc}${text ? ` (default: ${text})` : ''}`] as const,
  )
  return `Settings are environment variables, or lines of the file in --env-file. For a
secret, NAME_FILE names a file that holds the value of NAME.

${columns(descriptions)}
"audittrail config" prints the settings in effect, with secrets hidden.
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

/** All groups share one column width. */
function groupRows(groups: readonly CommandGroup[]): string {
  const rows = commandRows(groups.flatMap(({ commands }) => commands)).split(/\n(?= {2}\S)/)
  return groups
    .map(({ heading, commands }) => `${heading}:\n${rows.splice(0, commands.length).join('\n').trimEnd()}\n\n`)
    .join('')
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
