import { ptr } from 'bun:ffi'
import type { Socket } from 'node:net'
import { openCLibrary } from './cLibrary.ts'

/** How the kernel notices that the other end is gone. Undefined or 0: the system's value. */
export interface TcpKeepalive {
  /** Seconds without traffic before the first probe. */
  readonly idle?: number
  /** Seconds between probes. */
  readonly interval?: number
  /** Unanswered probes until the connection counts as lost. */
  readonly count?: number
  /** Milliseconds that sent data may stay unacknowledged. */
  readonly userTimeout?: number
}

/** Linux constants: <asm-generic/socket.h>, <linux/tcp.h>. */
const socketLevel = 1
const keepAlive = 9
const tcpLevel = 6
const options = { idle: 4, interval: 5, count: 6, userTimeout: 18 } as const

/**
 * Turns TCP keepalive on with exactly these values, which Node's `setKeepAlive` cannot. Elsewhere
 * than on Linux, sets only `idle`.
 */
export function setTcpKeepalive(socket: Socket, settings: TcpKeepalive): void {
  const descriptor = descriptorOf(socket)
  const set = process.platform === 'linux' && descriptor !== undefined ? loadSetter() : undefined
  if (set === undefined || descriptor === undefined) {
    socket.setKeepAlive(true, (settings.idle ?? 0) * 1000)
    return
  }
  set(descriptor, socketLevel, keepAlive, 1)
  for (const [name, option] of Object.entries(options)) {
    const value = settings[name as keyof TcpKeepalive]
    if (value) set(descriptor, tcpLevel, option, value)
  }
}

type Setter = (descriptor: number, level: number, option: number, value: number) => void

/** A loaded library is never unloaded, so it is loaded once. Null if there is none. */
let loaded: Setter | null | undefined

function loadSetter(): Setter | undefined {
  if (loaded === undefined) {
    const library = openCLibrary({ setsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'u32'], returns: 'i32' } })
    loaded = library
      ? (descriptor, level, option, value) => {
          library.setsockopt(descriptor, level, option, ptr(Int32Array.of(value)), 4)
        }
      : null
  }
  return loaded ?? undefined
}

/** Undocumented, but of Node and Bun alike. */
function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as { _handle?: { fd?: unknown } }
  return typeof handle?.fd === 'number' && handle.fd >= 0 ? handle.fd : undefined
}
