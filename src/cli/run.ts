import { readConfig } from '../config.ts'
import { AppError } from '../error.ts'
import { describeError } from '../log.ts'
import type { Outlet } from '../outlet.ts'
import { version } from '../version.ts'
import { apiKeyCommands } from './apikey.ts'
import { blockCommands } from './block.ts'
import type { Arguments, Command, ExitCode, Surroundings } from './command.ts'
import { config } from './config.ts'
import { exportCommand } from './export.ts'
import { healthcheck } from './healthcheck.ts'
import { commandHelp, helpText } from './help.ts'
import { importCommand } from './import.ts'
import { keyCommands } from './key.ts'
import { parseLine } from './line.ts'
import { migrate } from './migrate.ts'
import { nginx } from './nginx.ts'
import { openapi } from './openapi.ts'
import { seed } from './seed.ts'
import { serve } from './serve.ts'
import { sessionCommands } from './session.ts'
import { userCommands } from './user.ts'

/** Every command, in the order in which the help lists them. */
export const commands: readonly Command[] = [
  serve,
  migrate,
  seed,
  ...userCommands,
  ...sessionCommands,
  ...blockCommands,
  ...keyCommands,
  ...apiKeyCommands,
  importCommand,
  exportCommand,
  healthcheck,
  config,
  openapi,
  nginx,
]

export interface Terminal {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  /** Standard output for what must not wait for its reader. */
  readonly outlet: Outlet
}

/** From the arguments behind the program's name to an exit code. Nothing is opened before flags and settings are right. */
export async function run(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const line = parseLine(argv, commands, serve)
  if ('fault' in line) return fail(terminal, 2, `${line.fault} See audittrail --help.`)
  if (line.wants === 'version') return say(terminal, `${version}\n`)
  if (line.wants === 'help') return say(terminal, line.command ? commandHelp(line.command) : helpText(commands))

  const reading = readConfig(terminal.environment, line.envFile)
  if (!reading.ok) return fail(terminal, 2, ...reading.problems)
  return runCommand(line.command ?? serve, line.given, { ...terminal, ...reading })
}

async function runCommand(command: Command, given: Arguments, surroundings: Surroundings): Promise<ExitCode> {
  try {
    return await command.run(surroundings, given)
  } catch (error) {
    if (error instanceof AppError) return fail(surroundings, error.code === 'usage' ? 2 : 1, error.message)
    // Thrown further it would be one of the stray errors that a server survives.
    const { error: name, stack } = describeError(error)
    return fail(surroundings, 1, `An unexpected error (${name}), which is a fault of the program: ${stack}`)
  }
}

function say({ stdout }: Terminal, text: string): ExitCode {
  stdout(text)
  return 0
}

function fail({ stderr }: Pick<Terminal, 'stderr'>, code: ExitCode, ...lines: readonly string[]): ExitCode {
  stderr(lines.map((line) => `audittrail: ${line}\n`).join(''))
  return code
}
