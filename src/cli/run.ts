import { readConfig } from '../config.ts'
import { AppError } from '../error.ts'
import { version } from '../version.ts'
import type { Command, ExitCode, Surroundings } from './command.ts'
import { config } from './config.ts'
import { healthcheck } from './healthcheck.ts'
import { commandHelp, helpText } from './help.ts'
import { migrate } from './migrate.ts'
import { openapi } from './openapi.ts'
import { seed } from './seed.ts'
import { serve } from './serve.ts'

const commands: readonly Command[] = [serve, migrate, seed, healthcheck, config, openapi]

export interface Terminal {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
}

/** From the arguments behind the program's name to an exit code. Nothing is opened before flags and settings are right. */
export async function run(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const line = parseLine(argv)
  if ('fault' in line) return fail(terminal, 2, `${line.fault} See audittrail --help.`)
  if (line.wants === 'version') return say(terminal, `${version}\n`)
  if (line.wants === 'help') return say(terminal, line.command ? commandHelp(line.command) : helpText(commands))

  const reading = readConfig(terminal.environment, line.envFile)
  if (!reading.ok) return fail(terminal, 2, ...reading.problems)
  return runCommand(line.command ?? serve, line.flags, { ...terminal, ...reading })
}

async function runCommand(command: Command, flags: ReadonlySet<string>, surroundings: Surroundings): Promise<ExitCode> {
  try {
    return await command.run(surroundings, flags)
  } catch (error) {
    if (error instanceof AppError) return fail(surroundings, 1, error.message)
    throw error
  }
}

type Line =
  | { readonly fault: string }
  | {
      readonly command: Command | undefined
      readonly flags: ReadonlySet<string>
      readonly envFile: string | undefined
      readonly wants: 'run' | 'help' | 'version'
    }

function parseLine(argv: readonly string[]): Line {
  const words = [...argv]
  const flags = new Set<string>()
  let command: Command | undefined
  let envFile: string | undefined
  let wants: 'run' | 'help' | 'version' = 'run'
  while (words.length > 0) {
    const word = words.shift() as string
    if (word === '--help' || word === '-h' || word === 'help') wants = 'help'
    else if (word === '--version' || word === '-V') wants = 'version'
    else if (word === '--env-file' || word.startsWith('--env-file=')) {
      envFile = word.startsWith('--env-file=') ? word.slice('--env-file='.length) : words.shift()
      if (!envFile) return { fault: '--env-file takes the name of a file.' }
    } else if (word.startsWith('-')) flags.add(word)
    else if (command) return { fault: `${JSON.stringify(word)} is one word too many behind ${command.name}.` }
    else {
      command = commands.find(({ name }) => name === word)
      if (!command)
        return { fault: `${JSON.stringify(word)} is no command (${commands.map(({ name }) => name).join(', ')}).` }
    }
  }
  const known = (command ?? serve).flags
  const unknown = [...flags].find((flag) => !flag.startsWith('--') || !Object.hasOwn(known, flag.slice(2)))
  if (unknown !== undefined) return { fault: `${JSON.stringify(unknown)} is no flag of ${(command ?? serve).name}.` }
  return { command, flags: new Set([...flags].map((flag) => flag.slice(2))), envFile, wants }
}

function say({ stdout }: Terminal, text: string): ExitCode {
  stdout(text)
  return 0
}

function fail({ stderr }: Pick<Terminal, 'stderr'>, code: ExitCode, ...lines: readonly string[]): ExitCode {
  stderr(lines.map((line) => `audittrail: ${line}\n`).join(''))
  return code
}
