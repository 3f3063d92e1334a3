import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { type Setting, settings } from './settings.ts'

/** The environment of the process; nothing else in the product reads it. */
export const environment: Readonly<Record<string, string | undefined>> = process.env

export type SettingName = keyof typeof settings
export type Config = { readonly [Name in SettingName]: ReturnType<(typeof settings)[Name]['parse']> | Unset<Name> }
type Unset<Name extends SettingName> = (typeof settings)[Name] extends Setting<infer T> ? Extract<T, undefined> : never
export type SettingSource = 'default' | 'environment' | 'file'

export type ConfigReading =
  | { readonly ok: true; readonly config: Config; readonly sources: Readonly<Record<SettingName, SettingSource>> }
  | { readonly ok: false; readonly problems: readonly string[] }

/**
 * Reads all settings. `envFile` names a file of NAME=value lines, over which the environment wins.
 * Each problem is one line that names the variable, what it got (unless secret) and what it takes.
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>>, envFile?: string): ConfigReading {
  const problems: string[] = []
  const given = { ...readEnvFile(envFile, problems), ...environment }
  const config: Record<string, unknown> = {}
  const sources: Record<string, SettingSource> = {}
  for (const [name, setting] of Object.entries<Setting<unknown>>(settings)) {
    try {
      const found = findText(setting, given)
      sources[name] = found.source
      config[name] = found.text === undefined ? undefined : parseText(setting, found)
    } catch (error) {
      problems.push((error as Error).message)
    }
  }
  if (problems.length > 0) return { ok: false, problems }
  return { ok: true, config: Object.freeze(config) as Config, sources: sources as Record<SettingName, SettingSource> }
}

interface FoundText {
  readonly text: string | undefined
  readonly source: SettingSource
}

function findText(setting: Setting<unknown>, given: Readonly<Record<string, string | undefined>>): FoundText {
  const isGiven = (text: string | undefined) => text !== undefined && (text !== '' || setting.emptyMeans === 'empty')
  const text = given[setting.env]
  const path = setting.secret && given[`${setting.env}_FILE`]
  if (path && isGiven(text)) throw new Error(`${setting.env} and ${setting.env}_FILE are both set: keep one of them.`)
  if (path) return { text: readSecretFile(`${setting.env}_FILE`, path), source: 'file' }
  return isGiven(text) ? { text, source: 'environment' } : { text: setting.default, source: 'default' }
}

function parseText(setting: Setting<unknown>, { text = '', source }: FoundText): unknown {
  try {
    return setting.parse(text)
  } catch (error) {
    const variable = source === 'file' ? `${setting.env}_FILE` : setting.env
    const got = setting.secret ? 'is not valid' : `is ${JSON.stringify(text)}`
    throw new Error(`${variable} ${got}: it takes ${(error as Error).message}.`)
  }
}

function readSecretFile(variable: string, path: string): string {
  try {
    // Editors and `echo` end a file with a line break, which is not part of the secret.
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    throw new Error(
      `${variable} names a file that cannot be read (${(error as NodeJS.ErrnoException).code}): ${JSON.stringify(path)}.`,
    )
  }
}

function readEnvFile(path: string | undefined, problems: string[]): Record<string, string | undefined> {
  if (path === undefined) return {}
  try {
    return parseEnv(readFileSync(path, 'utf8'))
  } catch (error) {
    problems.push(`--env-file cannot be read (${(error as NodeJS.ErrnoException).code}): ${JSON.stringify(path)}.`)
    return {}
  }
}
