import { ptr } from 'bun:ffi'
import { readdirSync } from 'node:fs'
import { openCLibrary } from './cLibrary.ts'

/** The kernel's socket behind a server of this process, which Bun does not expose. */
export interface ListeningSocket {
  /**
   * Hands over connections once established. By default, the kernel holds each until its client
   * sends.
   */
  handOverAtOnce(): void
  /**
   * Accepts no new connections; established ones are still handed over. New ones get no response.
   */
  bar(): void
}

/**
 * Linux constants, the same on every supported architecture: <asm-generic/socket.h>, <linux/tcp.h>,
 * <linux/socket.h>.
 */
const socketLevel = 1
const attachFilter = 26
const acceptsConnections = 30
const tcpLevel = 6
const deferAccept = 9
const internetFamilies = [2, 10]

/**
 * Classic BPF, `[code, jump if true, jump if false, operand]` each: drops segments that open a
 * connection (SYN without ACK in byte 13 of the TCP header) and passes all others.
 */
const dropNewConnections = [
  [0x30, 0, 0, 13],
  [0x54, 0, 0, 0x12],
  [0x15, 0, 1, 0x02],
  [0x06, 0, 0, 0],
  [0x06, 0, 0, 0xffffffff],
] as const

/** Returns undefined outside Linux, and if no file can be opened to look for the socket. */
export function findListeningSocket(port: number): ListeningSocket | undefined {
  if (process.platform !== 'linux') return undefined
  const library = openCLibrary({
    getsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'ptr'], returns: 'i32' },
    getsockname: { args: ['i32', 'ptr', 'ptr'], returns: 'i32' },
    setsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'u32'], returns: 'i32' },
  })
  if (!library) return undefined
  const isOurs = (descriptor: number): boolean => {
    const flag = Buffer.alloc(4)
    const address = Buffer.alloc(128)
    const result = library.getsockopt(descriptor, socketLevel, acceptsConnections, ptr(flag), ptr(number32(4)))
    if (result !== 0 || flag.readUInt32LE() !== 1) return false
    if (library.getsockname(descriptor, ptr(address), ptr(number32(address.length))) !== 0) return false
    return internetFamilies.includes(address.readUInt16LE()) && address.readUInt16BE(2) === port
  }
  const socket = openDescriptors().find(isOurs)
  if (socket === undefined) return undefined
  return {
    handOverAtOnce: () => {
      library.setsockopt(socket, tcpLevel, deferAccept, ptr(number32(0)), 4)
    },
    bar: () => {
      const instructions = encode(dropNewConnections)
      // struct sock_fprog: a count and a pointer, aligned.
      const program = Buffer.alloc(16)
      program.writeUInt16LE(dropNewConnections.length)
      program.writeBigUInt64LE(BigInt(ptr(instructions)), 8)
      library.setsockopt(socket, socketLevel, attachFilter, ptr(program), program.length)
    },
  }
}

function openDescriptors(): readonly number[] {
  try {
    return readdirSync('/proc/self/fd').map(Number)
  } catch {
    return []
  }
}

function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

/** Consecutive struct sock_filter. */
function encode(instructions: typeof dropNewConnections): Buffer {
  const bytes = Buffer.alloc(instructions.length * 8)
  for (const [index, [code, yes, no, operand]] of instructions.entries()) {
    bytes.writeUInt16LE(code, index * 8)
    bytes.writeUInt8(yes, index * 8 + 2)
    bytes.writeUInt8(no, index * 8 + 3)
    bytes.writeUInt32LE(operand, index * 8 + 4)
  }
  return bytes
}
