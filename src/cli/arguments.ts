import type { Arguments, Command } from './command.ts'

export type ParsedArguments =
  | { readonly fault: string }
  | {
      readonly command: Command | undefined
      readonly given: Arguments
      readonly envFile: string | undefined
      readonly wants: 'run' | 'help' | 'version'
    }

/** Takes a command line apart. Every fault is one sentence that names the word at fault. */
export function parseArguments(
  argv: readonly string[],
  commands: readonly Command[],
  fallback: Command,
): ParsedArguments {
  const rest = [...argv]
  const positional: string[] = []
  const flags = new Map<string, string[]>()
  let envFile: string | undefined
  let wants: 'run' | 'help' | 'version' = 'run'

  while (rest.length > 0) {
    const word = rest.shift() as string
    const command = findCommand(positional, commands) ?? fallback
    const [name = '', attached] = word.startsWith('--') ? splitOnce(word.slice(2)) : []
    if (word === '--help' || word === '-h' || (word === 'help' && positional.length === 0)) wants = 'help'
    else if (word === '--version' || word === '-V') wants = 'version'
    else if (name === 'env-file') {
      envFile = attached ?? rest.shift()
      if (!envFile) return { fault: '--env-file takes the name of a file.' }
    } else if (!word.startsWith('-') || word === '-') positional.push(word)
    else if (!Object.hasOwn(command.flags, name))
      return { fault: `${JSON.stringify(word)} is no flag of ${command.name}.` }
    else {
      const flag = command.flags[name]
      const value = flag?.takes === undefined ? undefined : (attached ?? rest.shift())
      if (flag?.takes === undefined && attached !== undefined) return { fault: `--${name} takes nothing behind it.` }
      if (flag?.takes !== undefined && value === undefined) return { fault: `--${name} takes ${flag.takes}.` }
      if (flags.has(name) && !flag?.isRepeatable) return { fault: `--${name} is given more than once.` }
      flags.set(name, [...(flags.get(name) ?? []), ...(value === undefined ? [] : [value])])
    }
  }
  const command = findCommand(positional, commands)
  const words = positional.slice(command?.name.split(' ').length ?? 0)
  const fault = wants === 'run' ? faultOf(positional, words, command, commands) : undefined
  return fault ? { fault } : { command, given: { words, flags }, envFile, wants }
}

function faultOf(
  positional: readonly string[],
  words: readonly string[],
  command: Command | undefined,
  commands: readonly Command[],
): string | undefined {
  if (!command) {
    const [first] = positional
    if (first === undefined) return undefined
    const family = commands.filter(({ name }) => name.startsWith(`${first} `)).map(({ name }) => name)
    if (family.length > 0) return `${first} is one of: ${family.join(', ')}.`
    return `${JSON.stringify(first)} is no command.`
  }
  const missing = command.words[words.length]
  if (missing !== undefined) return `${command.name} takes ${missing} behind it.`
  const extra = words[command.words.length]
  return extra === undefined ? undefined : `${JSON.stringify(extra)} is one word too many behind ${command.name}.`
}

function findCommand(positional: readonly string[], commands: readonly Command[]): Command | undefined {
  const named = (count: number) => commands.find(({ name }) => name === positional.slice(0, count).join(' '))
  return (positional.length > 1 ? named(2) : undefined) ?? (positional.length > 0 ? named(1) : undefined)
}

function splitOnce(text: string): [string, string | undefined] {
  const at = text.indexOf('=')
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}
