/** A value in an env file. */
export interface EnvFileEntry {
  readonly name: string
  readonly value: string
  /** Counted from 1. */
  readonly line: number
  /** What other readers of the file make of it, if that differs. Completes "line 2: NAME …". */
  readonly problem?: string
  /** A comment follows on the same line. systemd takes it for a part of the value. */
  readonly hasComment: boolean
  /** The line starts with `export`. systemd ignores such a line. */
  readonly isExported: boolean
  /** Has a dollar sign in double quotes. Docker Compose takes it for a variable. */
  readonly isExpandable: boolean
}

export interface EnvFile {
  readonly entries: readonly EnvFileEntry[]
  /** Lines that are neither blank, nor a comment, nor NAME=value. */
  readonly unreadableLines: readonly number[]
}

interface Reading {
  readonly value: string
  readonly end: number
  readonly problem?: string | undefined
  readonly isExpandable?: boolean
}

/**
 * Parses lines of NAME=value. Whatever systemd's EnvironmentFile, Docker Compose or a shell would
 * read differently is reported as a problem of its entry, so that one file has one meaning.
 */
export function parseEnvFile(contents: string): EnvFile {
  const text = contents.replace(/^\ufeff/, '').replaceAll('\r\n', '\n')
  const entries: EnvFileEntry[] = []
  const unreadableLines: number[] = []
  const start = /(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*=[ \t]*/y
  for (let at = skipBlankLines(text, 0); at < text.length; at = skipBlankLines(text, at)) {
    const line = text.slice(0, at).split('\n').length
    start.lastIndex = at
    const [matched = '', name] = start.exec(text) ?? []
    if (name === undefined) {
      unreadableLines.push(line)
      at = endOfLine(text, at)
      continue
    }
    const { value, end, problem, isExpandable = false } = readValue(text, at + matched.length)
    const rest = text.slice(end, endOfLine(text, end))
    const hasComment = rest.includes('#')
    const isExported = matched.startsWith('export')
    entries.push({ name, value, line, hasComment, isExported, isExpandable, ...(problem ? { problem } : {}) })
    at = end + rest.length
  }
  return { entries, unreadableLines }
}

/** Skips blank lines and lines that start with # or, as in systemd, with a semicolon. */
function skipBlankLines(text: string, from: number): number {
  const blank = /(?:\s|[#;][^\n]*(?:\n|$))*/y
  blank.lastIndex = from
  return from + (blank.exec(text)?.[0].length ?? 0)
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from)
  return end < 0 ? text.length : end
}

function readValue(text: string, from: number): Reading {
  const quote = text[from]
  if (quote !== '"' && quote !== "'") return readUnquoted(text, from)
  const reading = quote === "'" ? readSingleQuoted(text, from + 1) : readDoubleQuoted(text, from + 1)
  if (!reading) return { value: '', end: from, problem: 'has an opening quote without a closing one' }
  const rest = text.slice(reading.end, endOfLine(text, reading.end))
  if (/^[ \t]*$|^[ \t]+#/.test(rest)) return reading
  return { ...reading, problem: 'has something after its closing quote. Quote the whole value' }
}

/** Characters with a meaning in a shell, systemd or Docker Compose. */
const special = new Map([
  ['$', 'a dollar sign'],
  ['`', 'a backtick'],
  ['\\', 'a backslash'],
])

function readUnquoted(text: string, from: number): Reading {
  // A number sign right after "=" belongs to the value, after white space it starts a comment.
  const line = text.slice(from, endOfLine(text, from))
  const isEmpty = line.startsWith('#') && /\s/.test(text[from - 1] ?? '')
  const value = isEmpty ? '' : line.replace(/[ \t]+#.*$/, '').replace(/[ \t]+$/, '')
  return { value, end: from + value.length, problem: unquotedProblem(value) }
}

function unquotedProblem(value: string): string | undefined {
  const readers = 'which systemd, Docker Compose or a shell would read differently. Quote it'
  for (const [character, name] of special) {
    if (!value.includes(character)) continue
    return `has ${name}, ${readers}: put the value in single quotes`
  }
  if (isOdd(value, "'")) return `has an unbalanced quote, ${readers}: put the value in double quotes`
  if (isOdd(value, '"')) return `has an unbalanced quote, ${readers}: put the value in single quotes`
  if (value !== value.trim()) return `has white space that is no plain space around it, ${readers}`
  return undefined
}

function isOdd(value: string, quote: string): boolean {
  return value.split(quote).length % 2 === 0
}

function readSingleQuoted(text: string, from: number): Reading | undefined {
  const end = text.indexOf("'", from)
  if (end < 0) return undefined
  const value = text.slice(from, end)
  const problem = value.endsWith('\\')
    ? 'has a backslash before its closing single quote, which Docker Compose reads differently. Put the value in double quotes and double each backslash'
    : undefined
  return { value, end: end + 1, problem }
}

function readDoubleQuoted(text: string, from: number): Reading | undefined {
  const [quoted] = /^(?:[^"\\]|\\[\s\S])*(?=")/.exec(text.slice(from)) ?? []
  if (quoted === undefined) return undefined
  const problem = /(?:^|[^\\])(?:\\\\)*\\[^"\\$]/.test(quoted)
    ? 'has a backslash in double quotes, which systemd and Docker Compose read differently. Put the value in single quotes, or write each backslash twice'
    : undefined
  const isExpandable = quoted.replace(/\\[\s\S]/g, '').includes('$')
  return { value: quoted.replace(/\\([\s\S])/g, '$1'), end: from + quoted.length + 1, problem, isExpandable }
}
