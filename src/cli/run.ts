import { readConfig } from '../config/config.ts'
import { AppError } from '../error.ts'
import { describeError, printable } from '../telemetry/log.ts'
import { version } from '../version.ts'
import { parseArguments } from './arguments.ts'
import type { CommandGroup, ExitCode } from './command.ts'
import { helpText } from './help.ts'
import { serve } from './serve/serve.ts'

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
  const groups = await loadCommandGroups(argv)
  const commands = groups.flatMap((group) => group.commands)
  const { action, command, words, input, envFile } = parseArguments(argv, commands, serve)
  if (action === 'version') return print(terminal, `${version}\n`)
  if (action === 'help') return print(terminal, helpText(command, words, groups))

  const result = readConfig(terminal.environment, envFile)
  if (!result.ok) return fail(terminal, 2, ...result.problems)
  for (const warning of result.warnings) terminal.stderr(`audittrail: warning: ${printable(warning)}\n`)
  const program = [terminal.program ?? 'audittrail', ...(envFile === undefined ? [] : ['--env-file', envFile])]
  const { config, sources } = result
  return (command ?? serve).run({ ...terminal, config, sources, program: program.map(shellWord).join(' ') }, input)
}

/** Without other commands, `serve` starts sooner. */
async function loadCommandGroups(argv: readonly string[]): Promise<readonly CommandGroup[]> {
  if (argv.every((argument) => argument === 'serve')) return [{ heading: 'Server', commands: [serve] }]
  const { commandGroups } = await import('./commandTable.ts')
  return commandGroups
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
