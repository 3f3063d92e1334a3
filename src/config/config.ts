import { isUtf8 } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { type Setting, settings } from './settings.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** The environment of the process. Nothing else in the product reads it. */
export const environment: Environment = process.env

export type SettingName = keyof typeof settings
export type Config = { readonly [Name in SettingName]: ReturnType<(typeof settings)[Name]['parse']> | Unset<Name> }
type Unset<Name extends SettingName> = (typeof settings)[Name] extends Setting<infer T> ? Extract<T, undefined> : never
/** `file`: the file named by the setting's `_FILE` variable. */
export type SettingSource = 'default' | 'environment' | 'env-file' | 'file'

export type ConfigResult =
  | { readonly ok: true; readonly config: Config; readonly sources: Readonly<Record<SettingName, SettingSource>> }
  | { readonly ok: false; readonly problems: readonly string[] }

/**
 * Reads all settings. `envFile` names a file of NAME=value lines; the environment takes precedence.
 * Each problem is one line that names the variable, the rule and the value, unless it is secret.
 */
export function readConfig(environment: Environment, envFile?: string): ConfigResult {
  const problems: string[] = []
  const values = mergeSources(readEnvFile(envFile, problems), environment)
  const config: Record<string, unknown> = {}
  const sources: Record<string, SettingSource> = {}
  for (const [name, setting] of Object.entries<Setting<unknown>>(settings)) {
    try {
      const { text, source } = findText(setting, values)
      sources[name] = source
      config[name] = text === undefined ? undefined : parseText(setting, text, source)
    } catch (error) {
      problems.push((error as Error).message)
    }
  }
  if (problems.length > 0) return { ok: false, problems }
  return { ok: true, config: Object.freeze(config) as Config, sources: sources as Record<SettingName, SettingSource> }
}

interface Value {
  readonly text: string
  readonly source: SettingSource
}

/** Merges the sources. Drops empty values, except of settings that may be empty. */
function mergeSources(file: Environment, environment: Environment): ReadonlyMap<string, Value> {
  const mayBeEmpty = new Set(
    Object.values<Setting<unknown>>(settings).flatMap(({ env, emptyMeans }) => (emptyMeans ? [env] : [])),
  )
  const values = new Map<string, Value>()
  for (const [source, variables] of [
    ['env-file', file],
    ['environment', environment],
  ] as const) {
    for (const [name, text] of Object.entries(variables)) {
      if (text !== undefined && (text !== '' || mayBeEmpty.has(name))) values.set(name, { text, source })
    }
  }
  return values
}

function findText(
  { env, secret, default: defaultText }: Setting<unknown>,
  values: ReadonlyMap<string, Value>,
): { text: string | undefined; source: SettingSource } {
  const direct = values.get(env)
  const file = secret && values.get(`${env}_FILE`)
  if (direct && file) throw new Error(`${env} and ${env}_FILE are both set. Set only one of them.`)
  if (file) return { text: readSecretFile(`${env}_FILE`, file.text), source: 'file' }
  return direct ?? { text: defaultText, source: 'default' }
}

function parseText({ env, secret, parse }: Setting<unknown>, text: string, source: SettingSource): unknown {
  try {
    return parse(text)
  } catch (error) {
    const variable = source === 'file' ? `${env} (from ${env}_FILE)` : env
    const value = secret ? '' : ` (got ${JSON.stringify(text)})`
    throw new Error(`${variable} ${(error as Error).message}${value}.`)
  }
}

function readSecretFile(variable: string, path: string): string {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (error) {
    throw new Error(`${variable}: ${cannotRead(path, error)}`)
  }
  if (!isUtf8(bytes)) throw new Error(`${variable}: ${JSON.stringify(path)} is not UTF-8 text.`)
  // Editors and `echo` add a final line break, which is not part of the secret.
  const text = bytes.toString().replace(/\r?\n$/, '')
  if (text === '') throw new Error(`${variable}: ${JSON.stringify(path)} is empty.`)
  return text
}

function readEnvFile(path: string | undefined, problems: string[]): Environment {
  if (path === undefined) return {}
  try {
    return parseEnv(readFileSync(path, 'utf8'))
  } catch (error) {
    problems.push(`--env-file: ${cannotRead(path, error)}`)
    return {}
  }
}

function cannotRead(path: string, error: unknown): string {
  return `cannot read ${JSON.stringify(path)} (${(error as NodeJS.ErrnoException).code}).`
}
