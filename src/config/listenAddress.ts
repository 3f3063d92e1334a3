import { isIP } from 'node:net'
import { isOff } from './parsers.ts'

/** Parses an IP address or a host name. */
export function parseHost(text: string): string {
  if (!isIP(text) && !/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(text)) {
    throw new Error('must be an IP address or host name without a port (0.0.0.0 for all addresses)')
  }
  return text
}

/** `off`, or `ADDRESS:PORT` as written in the setting. */
export type OptionalAddress = 'off' | (string & {})

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

/** Returns undefined for `off`. */
export function listenAddressOf(text: OptionalAddress): ListenAddress | undefined {
  return text === 'off' ? undefined : split(text)
}

/** Parses `off` or `ADDRESS:PORT`, which it returns as written. */
export function parseOptionalAddress(text: string): OptionalAddress {
  if (isOff(text)) return 'off'
  if (!split(text)) {
    throw new Error('must be off or ADDRESS:PORT, such as 127.0.0.1:9464 or [::1]:9464')
  }
  return text
}

function split(text: string): ListenAddress | undefined {
  const [, v6, name, digits] = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9][A-Za-z0-9.-]*)):(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  const host = v6 ?? name
  if (host === undefined || port > 65535 || (v6 !== undefined && isIP(v6) !== 6)) return undefined
  return { host, port }
}
