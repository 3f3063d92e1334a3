import { type ParseArgsConfig, parseArgs } from 'node:util'
import { AppError } from '../error.ts'
import { nearMiss } from '../nearMiss.ts'
import type { Command, CommandInput, Flag } from './command.ts'

export interface ParsedArguments {
  readonly action: 'run' | 'help' | 'version'
  /** Undefined: the arguments name no command. */
  readonly command: Command | undefined
  /** The words before the first flag: a command, or a group of commands such as `user`. */
  readonly words: readonly string[]
  readonly input: CommandInput
  readonly envFile: string | undefined
}

interface GlobalFlag extends Flag {
  readonly short?: string
}

type Flags = Readonly<Record<string, GlobalFlag>>

/** Flags that every command accepts. */
export const globalFlags: Flags = {
  'env-file': {
    value: 'FILE',
    doc: 'Read settings from a file. The environment takes precedence',
  },
  version: { short: 'v', doc: 'Print the version', isRepeatable: true },
  help: { short: 'h', doc: 'Print help', isRepeatable: true },
}

/** The argument of "help" that is not a command. */
export const settingsTopic = 'settings'

/**
 * Parses the arguments after the program name: finds the command, then parses its flags. `fallback`
 * is the command if none is named. Throws `usage` with the argument that is wrong.
 */
export function parseArguments(
  argv: readonly string[],
  commands: readonly Command[],
  fallback: Command,
): ParsedArguments {
  const leading = leadingWords(argv)
  const isHelpCommand = leading[0] === 'help'
  const words = isHelpCommand ? leading.slice(1) : leading
  const command = findCommand(words, commands)
  const target = command ?? (words.length === 0 ? fallback : undefined)
  const { positionals, flags } = target ? parseFlags(argv, target) : { positionals: words, flags: globalFlagsOf(argv) }
  const action = isHelpCommand || flags.has('help') ? 'help' : flags.has('version') ? 'version' : 'run'
  const values = positionals.slice((command?.name.split(' ').length ?? 0) + (isHelpCommand ? 1 : 0))
  if (action === 'run') requireArguments(target, values, commands)
  if (isHelpCommand && command === undefined) requireHelpTopic(words, commands)
  const ownFlags = [...flags].filter(([name]) => !Object.hasOwn(globalFlags, name))
  const [envFile] = flags.get('env-file') ?? []
  return { action, command, words, input: { arguments: values, flags: new Map(ownFlags) }, envFile }
}

/** Returns the commands whose name starts with this word: `user` for `user add` and the like. */
export function groupOf(word: string, commands: readonly Command[]): readonly Command[] {
  return commands.filter(({ name }) => name.startsWith(`${word} `))
}

function tokensOf(argv: readonly string[], flags: Flags) {
  const options: NonNullable<ParseArgsConfig['options']> = Object.fromEntries(
    Object.entries(flags).map(([name, { value, short }]) => {
      const type = value === undefined ? 'boolean' : 'string'
      return [name, short === undefined ? { type } : { type, short }]
    }),
  )
  // Not strict, since Node's messages do not name the command.
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, allowPositionals: true, tokens: true })
  // Node allows one letter for a flag.
  return tokens.map((token) =>
    token.kind === 'option' && token.rawName === '-V' ? { ...token, name: 'version' } : token,
  )
}

/** Stops at the first flag of a command: whether it takes a value is not known yet. */
function leadingWords(argv: readonly string[]): readonly string[] {
  const words: string[] = []
  for (const token of tokensOf(argv, globalFlags)) {
    if (token.kind === 'positional') words.push(token.value)
    if (token.kind === 'option' && !Object.hasOwn(globalFlags, token.name)) break
  }
  return words
}

function globalFlagsOf(argv: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const options = tokensOf(argv, globalFlags).filter((token) => token.kind === 'option')
  return new Map(options.map(({ name }) => [name, []]))
}

function parseFlags(argv: readonly string[], command: Command) {
  const known: Flags = { ...command.flags, ...globalFlags }
  const positionals: string[] = []
  const flags = new Map<string, readonly string[]>()
  for (const token of tokensOf(argv, known)) {
    if (token.kind === 'positional') positionals.push(token.value)
    if (token.kind !== 'option') continue
    const flag = Object.hasOwn(known, token.name) ? known[token.name] : undefined
    if (!flag) throw unknownFlag(token.rawName, Object.keys(known), command)
    const problem = problemOf(flag, token, flags)
    if (problem) throw usage(`${problem} for "${command.name}".`, command.name)
    const values = flags.get(token.name) ?? []
    flags.set(token.name, token.value === undefined ? values : [...values, token.value])
  }
  return { positionals, flags }
}

interface OptionToken {
  readonly name: string
  readonly value: string | undefined
  readonly inlineValue: boolean | undefined
}

function problemOf(
  { value: placeholder, isRepeatable }: Flag,
  { name, value, inlineValue }: OptionToken,
  flags: ReadonlyMap<string, unknown>,
): string | undefined {
  const flag = `--${name}`
  if (placeholder === undefined && value !== undefined) return `Unexpected value after ${flag}`
  if (placeholder !== undefined && !value && (name === 'env-file' || value === undefined))
    return `Missing value ${placeholder} after ${flag}`
  // Without this rule, a flag whose value was forgotten would swallow the next flag.
  if (value !== undefined && !inlineValue && value.length > 1 && value.startsWith('-'))
    return `Missing value ${placeholder} after ${flag} (write ${flag}=VALUE if the value starts with "-")`
  if (flags.has(name) && !isRepeatable) return `Repeated flag ${flag}`
  return undefined
}

function requireArguments(command: Command | undefined, values: readonly string[], commands: readonly Command[]): void {
  if (!command) throw unknownCommand(values, commands)
  const missing = command.arguments[values.length]
  if (missing !== undefined && !missing.startsWith('['))
    throw usage(`Missing argument ${missing} for "${command.name}".`, command.name)
  const extra = values[command.arguments.length]
  if (extra !== undefined)
    throw usage(`Unexpected argument ${JSON.stringify(extra)} for "${command.name}".`, command.name)
}

function requireHelpTopic(words: readonly string[], commands: readonly Command[]): void {
  const [first, second] = words
  const isGroup = first !== undefined && second === undefined && groupOf(first, commands).length > 0
  if (first !== undefined && first !== settingsTopic && !isGroup) throw unknownCommand(words, commands, [settingsTopic])
}

function unknownFlag(rawName: string, known: readonly string[], { name }: Command): AppError {
  const problem = `Unknown flag ${quoteUnlessPlain(rawName)} for "${name}".`
  return usage(`${problem}${suggestion(rawName.replace(/^-+/, ''), known, '--')}`, name)
}

function unknownCommand(
  [first = '', second]: readonly string[],
  commands: readonly Command[],
  topics: readonly string[] = [],
): AppError {
  const group = groupOf(first, commands).map(({ name }) => name)
  const names = commands.flatMap(({ name }) => [name, name.split(' ')[0] ?? name]).concat(topics)
  if (group.length === 0) return usage(`Unknown command ${JSON.stringify(first)}.${suggestion(first, names)}`)
  const problem = second === undefined ? 'Incomplete' : 'Unknown'
  const words = second === undefined ? first : `${first} ${second}`
  const list = group.map((name) => `"${name}"`).join(', ')
  const near = second === undefined ? '' : suggestion(words, group)
  return usage(`${problem} command ${JSON.stringify(words)}: use ${list}.${near}`, first)
}

function suggestion(name: string, candidates: readonly string[], prefix = ''): string {
  const near = nearMiss(name, candidates)
  return near === undefined ? '' : ` Did you mean "${prefix}${near}"?`
}

function findCommand([first, second]: readonly string[], commands: readonly Command[]): Command | undefined {
  const named = (name: string) => commands.find((command) => command.name === name)
  if (first === undefined) return undefined
  return (second === undefined ? undefined : named(`${first} ${second}`)) ?? named(first)
}

function quoteUnlessPlain(flag: string): string {
  return /^--?[\w-]+$/.test(flag) ? flag : JSON.stringify(flag)
}

function usage(problem: string, command?: string): AppError {
  return new AppError('usage', `${problem} Run "audittrail ${command === undefined ? '' : `${command} `}--help".`)
}
