import { afterAll, describe, expect, test } from 'bun:test'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { emptyDirectory, run, serve } from './binary.ts'

const directory = emptyDirectory()
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe('a command whose server goes away before it has answered', () => {
  test.each([
    ['without a word', ''],
    ['in the middle of its answer', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"output":'],
  ])('%s is not carried out a second time by the command itself', async (_, words) => {
    await (await serve({ directory })).stop()
    mkdirSync(join(directory, 'data'), { recursive: true })
    const asked: string[] = []
    // It has taken what it was asked, perhaps done it, and died: the lock of DATA_DIR is free
    // again.
    const dying = Bun.listen({
      unix: join(directory, 'data/control.sock'),
      socket: {
        data: (socket, bytes) => {
          asked.push(bytes.toString())
          if (words === '') return socket.terminate()
          socket.write(words)
          socket.end()
        },
      },
    })
    const added = await run(['user', 'add', 'eve'], { directory, input: '\n' })
    dying.stop(true)
    expect(asked.join('')).toContain('/addUser')
    expect(added).toMatchObject({ code: 1, stdout: '' })
    expect(added.stderr).toMatch(/^audittrail: The server stopped before it responded/)
    const listed = await run(['user', 'list', '--json'], { directory })
    expect(JSON.parse(listed.stdout)).toHaveLength(1)
  })
})
