import { afterAll, describe, expect, test } from 'bun:test'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { emptyDirectory, run, serve } from './binary.ts'

const directory = emptyDirectory()
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe('a command whose server disconnects without a full response', () => {
  test.each([
    ['before the response', ''],
    ['during the response', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"output":'],
  ])('%s does not run the operation a second time', async (_, response) => {
    await (await serve({ directory })).stop()
    mkdirSync(join(directory, 'data'), { recursive: true })
    const requests: string[] = []
    // A server that received the request, may have run it, and died. The lock of DATA_DIR is free.
    const dying = Bun.listen({
      unix: join(directory, 'data/control.sock'),
      socket: {
        data: (socket, bytes) => {
          requests.push(bytes.toString())
          if (response === '') return socket.terminate()
          socket.write(response)
          socket.end()
        },
      },
    })
    const added = await run(['user', 'add', 'eve'], { directory, input: '\n' })
    dying.stop(true)
    expect(requests.join('')).toContain('/addUser')
    expect(added).toMatchObject({ code: 1, stdout: '' })
    expect(added.stderr).toMatch(/^audittrail: The server stopped before it responded/)
    const listed = await run(['user', 'list', '--json'], { directory })
    expect(JSON.parse(listed.stdout)).toHaveLength(1)
  })
})
