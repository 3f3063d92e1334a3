import { readConfig } from '../config/config.ts'
import { AppError } from '../error.ts'
import { describeError, printable } from '../telemetry/log.ts'
import { version } from '../version.ts'
import { parseArguments } from './arguments.ts'
import type { Command, CommandGroup, ExitCode } from './command.ts'
import { adopt } from './commands/adopt.ts'
import { apiKeyCommands } from './commands/apikey.ts'
import { auditCommands } from './commands/audit/audit.ts'
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
import { sessionCommands } from './commands/session.ts'
import { userCommands } from './commands/user.ts'
import { helpText } from './help.ts'
import { serve } from './serve/serve.ts'

/** All commands, as the help lists them. */
export const commandGroups: readonly CommandGroup[] = [
  { heading: 'Server', commands: [serve, migrate, adopt, seed, healthcheck, config] },
  { heading: 'Audit log', commands: auditCommands },
  { heading: 'Users', commands: [...userCommands, ...sessionCommands, ...blockCommands] },
  { heading: 'Keys', commands: [...keyCommands, ...apiKeyCommands] },
  { heading: 'Moving users', commands: [importCommand, exportCommand] },
  { heading: 'Integration', commands: [nginx, openapi] },
]
export const commands: readonly Command[] = commandGroups.flatMap(({ commands }) => commands)

export interface Terminal {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  /** The file descriptor that `serve` logs to. */
  readonly logDescriptor: number
  /** How the program was called. Defaults to `audittrail`. */
  readonly program?: string
}

/** Runs a command line. Arguments and settings are checked before anything is opened. */
export async function run(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  try {
    return await runArguments(argv, terminal)
  } catch (error) {
    if (error instanceof AppError) return fail(terminal, error.code === 'usage' ? 2 : 1, error.message)
    // Must not become an uncaught exception, which a server logs and survives.
    const { error: name, stack } = describeError(error)
    return fail(terminal, 1, `Internal error (${name}). This is a bug in AuditTrail: ${stack}`)
  }
}

async function runArguments(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { action, command, words, input, envFile } = parseArguments(argv, commands, serve)
  if (action === 'version') return print(terminal, `${version}\n`)
  if (action === 'help') return print(terminal, helpText(command, words, commandGroups))

  const result = readConfig(terminal.environment, envFile)
  if (!result.ok) return fail(terminal, 2, ...result.problems)
  for (const warning of result.warnings) terminal.stderr(`audittrail: warning: ${printable(warning)}\n`)
  const program = [terminal.program ?? 'audittrail', ...(envFile === undefined ? [] : ['--env-file', envFile])]
  const { config, sources } = result
  return (command ?? serve).run({ ...terminal, config, sources, program: program.map(shellWord).join(' ') }, input)
}

/** Quotes a text for a shell if it needs that. */
function shellWord(text: string): string {
  return /^[\w./:~@%+=-]+$/.test(text) ? text : `'${printable(text).replaceAll("'", "'\\''")}'`
}

function print({ stdout }: Terminal, text: string): ExitCode {
  stdout(text)
  return 0
}

function fail({ stderr }: Terminal, code: ExitCode, ...lines: readonly string[]): ExitCode {
  stderr(lines.map((line) => `audittrail: ${printable(line)}\n`).join(''))
  return code
}
