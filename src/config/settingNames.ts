import { nearMiss } from '../nearMiss.ts'
import type { Setting } from './parsers.ts'
import { settings } from './settings.ts'

const table = Object.values<Setting<unknown>>(settings)
const namesInFull = table.flatMap(({ env, secret }) => (secret ? [env, `${env}_FILE`] : [env]))
const names: ReadonlySet<string> = new Set(namesInFull)
const secrets: ReadonlySet<string> = new Set(table.flatMap(({ env, secret }) => (secret ? [env] : [])))

export function isSettingName(name: string): boolean {
  return names.has(name)
}

/** Returns whether the setting is a secret. Only secrets have a `_FILE` form. */
export function isSecretName(name: string): boolean {
  return secrets.has(name)
}

/** Returns the setting that an unknown name probably means, or undefined. */
export function meantSetting(name: string): string | undefined {
  if (names.has(name)) return undefined
  const [, plain] = /^(?:AUDITTRAIL_(.+)|(.+)_FILE)$/i.exec(name)?.filter((part) => part !== undefined) ?? []
  if (plain !== undefined && names.has(plain.toUpperCase())) return plain.toUpperCase()
  const plural = name.toUpperCase().replace(/Y$/, 'IES')
  return names.has(plural) ? plural : nearMiss(name, namesInFull)
}

/** A misspelling of a shorter name, such as PORT or ISSUER, is too often a name of its own. */
const shortestInEnvironment = 8

/**
 * Does the same for a variable of the environment, which also has the names of other programs.
 * Ignores the links that Kubernetes sets for a service that is called audittrail.
 */
export function meantSettingInEnvironment(name: string, value: string): string | undefined {
  if (/^(tcp|udp|sctp):\/\//.test(value)) return undefined
  const meant = meantSetting(name)
  if (meant === undefined || name === `AUDITTRAIL_${meant}`) return meant
  const isSwapped = name !== meant && hasSameLetters(name, meant)
  const isLikely = meant.length >= shortestInEnvironment && name[0]?.toUpperCase() === meant[0]
  const isFile = name === `${meant}_FILE` && meant.length > 'PORT'.length
  return isSwapped || isLikely || isFile ? meant : undefined
}

function hasSameLetters(name: string, other: string): boolean {
  return [...name].sort().join('') === [...other].sort().join('')
}
