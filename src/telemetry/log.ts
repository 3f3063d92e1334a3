import { AppError } from '../error.ts'

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]
export const logFormats = ['json', 'pretty'] as const
export type LogFormat = (typeof logFormats)[number]

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined | readonly string[]>>

/**
 * One line per event. `event` is a stable dotted name (`login.failed`), `fields` are its facts.
 * They never contain a secret, token or password.
 */
export interface Log {
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
}

export interface LogOptions {
  readonly level: LogLevel
  readonly format: LogFormat
  readonly now: () => number
  /** Takes one whole line, newline included. */
  readonly write: (line: string) => void
  /** Fields added to every line: the current trace. */
  readonly context?: () => LogFields | undefined
}

export function createLog({ level, format, now, write, context = () => undefined }: LogOptions): Log {
  const line = format === 'json' ? jsonLine : prettyLine
  const timeText = createTimeText()
  const at = (own: LogLevel) =>
    logLevels.indexOf(own) < logLevels.indexOf(level)
      ? () => {}
      : (event: string, fields: LogFields = {}) => write(line(timeText(now()), own, event, fields, context()))
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** Lines of the same millisecond share the text of their time. */
function createTimeText(): (now: number) => string {
  let latest = Number.NaN
  let text = ''
  return (now) => {
    if (now !== latest) text = new Date(now).toISOString()
    latest = now
    return text
  }
}

type Line = (time: string, level: LogLevel, event: string, fields: LogFields, context: LogFields | undefined) => string

/** Without copies of fields and text: almost every line is one of a request. */
const jsonLine: Line = (time, level, event, fields, context) => {
  const members = printable(JSON.stringify(context ? { ...fields, ...context } : fields))
  return `{"time":"${time}","level":"${level}","event":"${event}"${members === '{}' ? '' : ','}${members.slice(1)}\n`
}

const prettyLine: Line = (time, level, event, fields, context) => {
  let line = `${time.slice(11, 23)} ${level.padEnd(5)} ${event}`
  for (const [name, value] of Object.entries({ ...fields, ...context })) {
    if (value !== undefined) line += ` ${name}=${prettyValue(value)}`
  }
  return `${printable(line)}\n`
}

function prettyValue(value: NonNullable<LogFields[string]> | null): string {
  const text = Array.isArray(value) ? value.join(',') : String(value)
  return /^[\w.:/@+%,-]+$/.test(text) ? text : JSON.stringify(text)
}

/**
 * JSON escapes only C0. Terminals also obey DEL and C1, some readers break lines at U+2028, and
 * U+202E reverses text.
 */
export function printable(line: string): string {
  // Most lines are, and this test takes a tenth of the time.
  if (/^[ -~]*$/.test(line)) return line
  return line.replace(/[\u007f-\u009f\u2028\u2029\p{Cf}]/gu, escapeUnits)
}

/**
 * Describes where an error happened. Includes only messages of our own: the engine's quote values
 * (`"changeme" is not a function`), the driver's SQL and parameters.
 */
export function describeError(error: unknown): LogFields {
  const {
    name = 'Error',
    message = '',
    stack = '',
    code,
  } = error instanceof Error ? (error as NodeJS.ErrnoException) : {}
  // The message precedes the frames and may contain lines that look like frames.
  const frames = stack.slice(stack.indexOf(message) + message.length).split('\n')
  return {
    error: name,
    code: typeof code === 'string' && /^\w{1,50}$/.test(code) ? code : undefined,
    message: error instanceof AppError ? message : undefined,
    stack: frames
      .filter((line) => /^\s*at /.test(line))
      .slice(0, 8)
      .map((line) => line.trim()),
  }
}

/** Escapes each UTF-16 unit, as JSON does beyond U+FFFF. */
function escapeUnits(text: string): string {
  return text.replace(/[\s\S]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
