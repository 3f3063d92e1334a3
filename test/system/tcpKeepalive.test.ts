import { dlopen, ptr } from 'bun:ffi'
import { describe, expect, test } from 'bun:test'
import { createConnection, createServer, type Socket } from 'node:net'
import { setTcpKeepalive } from '../../src/system/tcpKeepalive.ts'

interface Options {
  readonly isOn: number
  readonly idle: number
  readonly interval: number
  readonly count: number
  readonly userTimeout: number
}

describe.skipIf(process.platform !== 'linux')('TCP keepalive', () => {
  test.each([
    ['the values of the system', {}, { isOn: 1 }],
    ['0 as the value of the system', { idle: 0, interval: 0, count: 0, userTimeout: 0 }, { isOn: 1 }],
    ['each value by itself', { count: 4 }, { isOn: 1, count: 4 }],
    [
      'all values',
      { idle: 30, interval: 5, count: 3, userTimeout: 9000 },
      { isOn: 1, idle: 30, interval: 5, count: 3, userTimeout: 9000 },
    ],
  ])('sets %s', async (_what, settings, expected) => {
    const { socket, close } = await connectedSocket()
    const before = optionsOf(socket)
    expect(before.isOn).toBe(0)
    setTcpKeepalive(socket, settings)
    expect(optionsOf(socket)).toEqual({ ...before, ...expected })
    close()
  })
})

async function connectedSocket(): Promise<{ socket: Socket; close: () => void }> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const server = createServer().listen(0, '127.0.0.1', resolve)
  await promise
  const address = server.address()
  const connected = Promise.withResolvers<void>()
  const socket = createConnection(
    { host: '127.0.0.1', port: typeof address === 'object' && address ? address.port : 0 },
    connected.resolve,
  )
  await connected.promise
  const close = () => {
    socket.destroy()
    server.close()
  }
  return { socket, close }
}

/** Reads the options from the kernel. */
function optionsOf(socket: Socket): Options {
  const { symbols } = dlopen('libc.so.6', {
    getsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'ptr'], returns: 'i32' },
  })
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle
  const read = (level: number, option: number) => {
    const value = new Int32Array(1)
    symbols.getsockopt(fd, level, option, ptr(value), ptr(Int32Array.of(4)))
    return value[0] ?? -1
  }
  return { isOn: read(1, 9), idle: read(6, 4), interval: read(6, 5), count: read(6, 6), userTimeout: read(6, 18) }
}
