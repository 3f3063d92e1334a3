import { isUtf8 } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { type EnvFileEntry, parseEnvFile } from './envFile.ts'
import type { Setting } from './parsers.ts'
import { isSecretName, isSettingName, meantSetting, meantSettingInEnvironment } from './settingNames.ts'
import { settings } from './settings.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** `file`: the file named by the setting's `_FILE` variable. */
export type SettingSource = 'default' | 'environment' | 'env-file' | 'file'

export interface Value {
  /** Without trailing line breaks, which editors, `echo` and Kubernetes secrets add. */
  readonly text: string
  readonly source: SettingSource
  /** The value as version 0.1.0 read it. */
  readonly formerText: string
}

export interface Findings {
  /** Each ends the program. */
  readonly problems: string[]
  readonly warnings: string[]
}

/** Merges the sources. Drops empty values, except of settings that may be empty. */
export function mergeSources(
  file: ReadonlyMap<string, Value>,
  environment: Environment,
  { problems, warnings }: Findings,
): ReadonlyMap<string, Value> {
  const mayBeEmpty = new Set(
    Object.values<Setting<unknown>>(settings).flatMap(({ env, emptyMeans }) => (emptyMeans ? [env] : [])),
  )
  const values = new Map<string, Value>()
  const empty = new Set<string>()
  for (const variables of [file, valuesOf(environment)]) {
    for (const [name, value] of variables) {
      if (value.text !== '' || mayBeEmpty.has(name)) values.set(name, value)
      else empty.add(name)
    }
  }
  const isUnset = (name: string) => !values.has(name) && !values.has(`${name}_FILE`)
  const isEmpty = (name: string) => isUnset(name) && (empty.has(name) || empty.has(`${name}_FILE`))
  if (isEmpty('DATABASE_URL')) {
    problems.push(
      'DATABASE_URL is set but empty. Set it to the URL of your PostgreSQL database, or remove it to use the embedded database in DATA_DIR.',
    )
  }
  if (isEmpty('SECRET_KEY')) {
    warnings.push('SECRET_KEY is set but empty, so the key in DATA_DIR/secret.key is used.')
  }
  if (isEmpty('DATA_DIR') && isUnset('DATABASE_URL'))
    warnings.push('DATA_DIR is set but empty, so ./data in the working directory is used.')
  warnings.push(...quotedVariables(environment), ...misspelledVariables(environment, isUnset))
  return values
}

function valuesOf(environment: Environment): Map<string, Value> {
  const values = new Map<string, Value>()
  for (const [name, text] of Object.entries(environment)) {
    if (text === undefined || !isSettingName(name)) continue
    values.set(name, { text: withoutTrailingBreaks(text), source: 'environment', formerText: text })
  }
  return values
}

/** Unlike Docker Compose, `docker run --env-file` does not remove quotes. */
function* quotedVariables(environment: Environment): Generator<string> {
  for (const [name, text = ''] of Object.entries(environment)) {
    if (isSettingName(name) && /^(["'])[\s\S]*\1$/.test(text))
      yield `The quotes around the environment variable ${name} are part of its value. Remove them, unless you mean them.`
  }
}

function* misspelledVariables(environment: Environment, isUnset: (name: string) => boolean): Generator<string> {
  for (const [name, text = ''] of Object.entries(environment)) {
    const meant = isSettingName(name) ? undefined : meantSettingInEnvironment(name, text)
    // If the setting is set, the similar name is meant for another program.
    if (meant !== undefined && isUnset(meant.replace(/_FILE$/, '')))
      yield `The environment variable ${name} is not a setting and has no effect. Did you mean ${meant}?`
  }
}

export function withoutTrailingBreaks(text: string): string {
  return text.replace(/[\r\n]+$/, '')
}

/** Reads the file of `--env-file`. */
export function readEnvFile(path: string | undefined, findings: Findings): ReadonlyMap<string, Value> {
  if (path === undefined) return new Map()
  const contents = readText(path, '--env-file', findings.problems)
  if (contents === undefined) return new Map()
  // UTF-16 without a byte order mark is valid UTF-8.
  if (contents.includes('\0')) {
    findings.problems.push(notText('--env-file', path))
    return new Map()
  }
  const { entries, unreadableLines } = parseEnvFile(contents)
  for (const line of unreadableLines)
    findings.problems.push(`--env-file, line ${line}: must be NAME=value, or a comment that starts with #.`)
  const former = parseEnv(contents)
  const values = new Map<string, Value>()
  for (const entry of entries) {
    const { name, value } = entry
    if (values.has(name))
      findings.warnings.push(`--env-file, line ${entry.line}: ${name} is set again. The last value counts.`)
    check(entry, findings)
    if (entry.problem !== undefined) continue
    values.set(name, { text: withoutTrailingBreaks(value), source: 'env-file', formerText: former[name] ?? value })
  }
  return values
}

/** The second line of a wrapped base64 or base32 secret looks like a name: it ends with `=`. */
function mayBeSecret({ name, value }: EnvFileEntry): boolean {
  if (name !== name.toUpperCase() && name !== name.toLowerCase()) return true
  return !name.includes('_') && (name.length > 16 || /^=*$/.test(value))
}

function check(entry: EnvFileEntry, findings: Findings): void {
  const { name, line, problem, hasComment, isExported, isExpandable } = entry
  const place = `--env-file, line ${line}: ${name}`
  if (!isSettingName(name)) {
    const meant = meantSetting(name)
    if (meant !== undefined) findings.problems.push(`${place} is not a setting. Did you mean ${meant}?`)
    else
      findings.warnings.push(
        mayBeSecret(entry)
          ? `--env-file, line ${line}: This name is not a setting and has no effect. If the line continues the value above, write that value on one line.`
          : `${place} is not a setting and has no effect.`,
      )
    return
  }
  if (problem !== undefined) findings.problems.push(`${place} ${problem}.`)
  if (hasComment && isSecretName(name))
    findings.warnings.push(
      `${place} is followed by a comment, which systemd would read as part of the value. Put the comment on a line of its own, or the value in quotes if it is no comment.`,
    )
  if (isExported) findings.warnings.push(`${place} has "export" before it. systemd would ignore the line.`)
  if (isExpandable)
    findings.warnings.push(`${place} has a dollar sign, which Docker Compose would expand. Put it in single quotes.`)
}

/** Returns the text of the file in a `_FILE` variable. Throws an Error that names the variable. */
export function readSecretFile(variable: string, path: string): Value {
  const problems: string[] = []
  const contents = readText(path, variable, problems)
  const text = withoutTrailingBreaks(contents ?? '')
  const [problem = text === '' ? `${variable}: ${JSON.stringify(path)} is empty.` : undefined] = problems
  if (problem !== undefined) throw new Error(problem)
  return { text, source: 'file', formerText: (contents ?? '').replace(/\r?\n$/, '') }
}

function readText(path: string, variable: string, problems: string[]): string | undefined {
  try {
    const bytes = readFileSync(path)
    if (isUtf8(bytes)) return bytes.toString()
    problems.push(notText(variable, path))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    problems.push(`${variable}: cannot read ${JSON.stringify(path)} (${code}).`)
  }
  return undefined
}

function notText(variable: string, path: string): string {
  return `${variable}: ${JSON.stringify(path)} is not UTF-8 text.`
}
