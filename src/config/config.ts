import { isUtf8 } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { type Setting, settings } from './settings.ts'

/** The environment of the process; nothing else in the product reads it. */
export const environment: Readonly<Record<string, string | undefined>> = process.env

export type SettingName = keyof typeof settings
export type Config = { readonly [Name in SettingName]: ReturnType<(typeof settings)[Name]['parse']> | Unset<Name> }
type Unset<Name extends SettingName> = (typeof settings)[Name] extends Setting<infer T> ? Extract<T, undefined> : never
/** `file`: the setting's own `_FILE`. */
export type SettingSource = 'default' | 'environment' | 'env-file' | 'file'

export type ConfigReading =
  | { readonly ok: true; readonly config: Config; readonly sources: Readonly<Record<SettingName, SettingSource>> }
  | { readonly ok: false; readonly problems: readonly string[] }

/**
 * Reads all settings. `envFile` names a file of NAME=value lines, over which the environment wins.
 * Each problem is one line that names the variable, what it got (unless secret) and what it takes.
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>>, envFile?: string): ConfigReading {
  const problems: string[] = []
  const given = mergeSources(readEnvFile(envFile, problems), environment)
  const config: Record<string, unknown> = {}
  const sources: Record<string, SettingSource> = {}
  for (const [name, setting] of Object.entries<Setting<unknown>>(settings)) {
    try {
      const found = findText(setting, given)
      sources[name] = found.source
      config[name] = found.text === undefined ? undefined : parseText(setting, found.text, found.source)
    } catch (error) {
      problems.push((error as Error).message)
    }
  }
  if (problems.length > 0) return { ok: false, problems }
  return { ok: true, config: Object.freeze(config) as Config, sources: sources as Record<SettingName, SettingSource> }
}

interface Given {
  readonly text: string
  readonly source: SettingSource
}

/** What is given at all: the environment over the file. An empty value is none, but where empty means empty. */
function mergeSources(
  file: Readonly<Record<string, string | undefined>>,
  environment: Readonly<Record<string, string | undefined>>,
): ReadonlyMap<string, Given> {
  const meansEmpty = new Set(
    Object.values<Setting<unknown>>(settings).flatMap(({ env, emptyMeans }) => (emptyMeans ? [env] : [])),
  )
  const given = new Map<string, Given>()
  for (const [source, values] of [
    ['env-file', file],
    ['environment', environment],
  ] as const) {
    for (const [name, text] of Object.entries(values)) {
      if (text !== undefined && (text !== '' || meansEmpty.has(name))) given.set(name, { text, source })
    }
  }
  return given
}

function findText(
  { env, secret, default: text }: Setting<unknown>,
  given: ReadonlyMap<string, Given>,
): { text: string | undefined; source: SettingSource } {
  const own = given.get(env)
  const file = secret && given.get(`${env}_FILE`)
  if (own && file) throw new Error(`${env} and ${env}_FILE are both set: keep one of them.`)
  if (file) return { text: readSecretFile(`${env}_FILE`, file.text), source: 'file' }
  return own ?? { text, source: 'default' }
}

function parseText(setting: Setting<unknown>, text: string, source: SettingSource): unknown {
  try {
    return setting.parse(text)
  } catch (error) {
    const variable = source === 'file' ? `${setting.env}_FILE` : setting.env
    const got = setting.secret ? 'is not valid' : `is ${JSON.stringify(text)}`
    throw new Error(`${variable} ${got}: it takes ${(error as Error).message}.`)
  }
}

function readSecretFile(variable: string, path: string): string {
  const fault = (reason: string) => new Error(`${variable} names a file that ${reason}: ${JSON.stringify(path)}.`)
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (error) {
    throw fault(`cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
  if (!isUtf8(bytes)) throw fault('is not UTF-8 text')
  // Editors and `echo` end a file with a line break, which is not part of the secret.
  const text = bytes.toString().replace(/\r?\n$/, '')
  if (text === '') throw fault('is empty')
  return text
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
