import { readConfig } from '../config/config.ts'
import { AppError } from '../error.ts'
import { describeError } from '../telemetry/log.ts'
import { version } from '../version.ts'
import { parseArguments } from './arguments.ts'
import type { Arguments, Command, CommandEnvironment, ExitCode } from './command.ts'
import { apiKeyCommands } from './commands/apikey.ts'
import { blockCommands } from './commands/block.ts'
import { config } from './commands/config.ts'
import { exportCommand } from './commands/export.ts'
import { healthcheck } from './commands/healthcheck.ts'
import { importCommand } from './commands/import.ts'
import { keyCommands } from './commands/key.ts'
import { migrate } from './commands/migrate.ts'
import { nginx } from './commands/nginx.ts'
import { openapi } from './commands/openapi.ts'
import { seed } from './commands/seed.ts'
import { serve } from './commands/serve.ts'
import { sessionCommands } from './commands/session.ts'
import { userCommands } from './commands/user.ts'
import { commandHelp, helpText } from './help.ts'

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
  /** The file descriptor that `serve` logs to. */
  readonly logDescriptor: number
}

/** From the arguments behind the program's name to an exit code. Nothing is opened before flags and settings are right. */
export async function run(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const line = parseArguments(argv, commands, serve)
  if ('fault' in line) return fail(terminal, 2, `${line.fault} See audittrail --help.`)
  if (line.wants === 'version') return say(terminal, `${version}\n`)
  if (line.wants === 'help') return say(terminal, line.command ? commandHelp(line.command) : helpText(commands))

  const reading = readConfig(terminal.environment, line.envFile)
  if (!reading.ok) return fail(terminal, 2, ...reading.problems)
  return runCommand(line.command ?? serve, line.given, { ...terminal, ...reading })
}

async function runCommand(command: Command, given: Arguments, surroundings: CommandEnvironment): Promise<ExitCode> {
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
