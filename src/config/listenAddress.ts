import { isIP } from 'node:net'

/** What HOST takes: an address or a name, kept as it is written. */
export function parseHost(text: string): string {
  if (!isIP(text) && !/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(text)) {
    throw new Error('an IP address or host name, without port (0.0.0.0 for all addresses)')
  }
  return text
}

/** `off`, or an address and a port, as they are written. */
export type OptionalAddress = 'off' | (string & {})

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

/** Undefined for `off`. */
export function listenAddressOf(text: OptionalAddress): ListenAddress | undefined {
  return text === 'off' ? undefined : split(text)
}

/** What a setting of this kind takes: checked, and kept as it is written. */
export function parseOptionalAddress(text: string): OptionalAddress {
  if (text !== 'off' && !split(text)) {
    throw new Error('off, or an address and a port with a colon between (127.0.0.1:9464, [::1]:9464)')
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
