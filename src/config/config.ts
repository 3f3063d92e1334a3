import { isSecretKey } from '../secretKeys.ts'
import type { Setting } from './parsers.ts'
import { settings } from './settings.ts'
import {
  type Environment,
  type Findings,
  mergeSources,
  readEnvFile,
  readSecretFile,
  type SettingSource,
  type Value,
} from './sources.ts'

export type { SettingSource }

/** The environment of the process. Nothing else in the product reads it. */
export const environment: Environment = process.env

export type SettingName = keyof typeof settings
export type Config = {
  readonly [Name in SettingName]: ReturnType<(typeof settings)[Name]['parse']> | Unset<Name>
} & {
  /** SECRET_KEY as version 0.1.0 read it, if that differs: cut off at a #, or with a line break. */
  readonly formerSecretKey: string | undefined
}
type Unset<Name extends SettingName> = (typeof settings)[Name] extends Setting<infer T> ? Extract<T, undefined> : never

export type ConfigResult =
  | {
      readonly ok: true
      readonly config: Config
      readonly sources: Readonly<Record<SettingName, SettingSource>>
      readonly warnings: readonly string[]
    }
  | { readonly ok: false; readonly problems: readonly string[] }

/**
 * Reads all settings. `envFile` names a file of NAME=value lines; the environment takes precedence.
 * Each problem and warning is one line that names the variable, the rule and the value, unless it
 * is secret.
 */
export function readConfig(environment: Environment, envFile?: string): ConfigResult {
  const findings: Findings = { problems: [], warnings: [] }
  const { problems, warnings } = findings
  const values = mergeSources(readEnvFile(envFile, findings), environment, findings)
  const config: Record<string, unknown> = {}
  const sources: Record<string, SettingSource> = {}
  for (const [name, setting] of Object.entries<Setting<unknown>>(settings)) {
    try {
      const value = findValue(setting, values)
      const { text = setting.default, source = 'default' } = value ?? {}
      sources[name] = source
      config[name] = text === undefined ? undefined : parseText(setting, text, source)
      if (name === 'secretKey') config.formerSecretKey = formerSecretKeyOf(value)
    } catch (error) {
      problems.push((error as Error).message)
    }
  }
  if (problems.length > 0) return { ok: false, problems }
  const frozen = Object.freeze(config) as Config
  return { ok: true, config: frozen, sources: sources as Record<SettingName, SettingSource>, warnings }
}

function findValue({ env, secret }: Setting<unknown>, values: ReadonlyMap<string, Value>): Value | undefined {
  const direct = values.get(env)
  const file = secret && values.get(`${env}_FILE`)
  if (direct && file) throw new Error(`${env} and ${env}_FILE are both set. Set only one of them.`)
  return file ? readSecretFile(`${env}_FILE`, file.text) : direct
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

function formerSecretKeyOf({ text, formerText }: Partial<Value> = {}): string | undefined {
  return formerText !== text && isSecretKey(formerText ?? '') ? formerText : undefined
}
