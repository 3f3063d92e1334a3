import { afterAll, describe, expect, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { openEmbedded } from '../../src/db/embedded/engine.ts'
import { connect, errorCode } from '../db/embedded/client.ts'
import { temporaryDirectory } from '../endOfFile.ts'

const root = temporaryDirectory('embedded-faults')
afterAll(() => rmSync(root, { recursive: true, force: true }))

function failUnexpectedly(reason: string): void {
  throw new Error(reason)
}

describe('embedded engine', () => {
  test('keeps acknowledged changes when the process is killed', async () => {
    const path = join(root, 'killed')
    const child = Bun.spawn([process.execPath, join(import.meta.dir, '../db/embedded/writer.ts'), path], {
      stdout: 'pipe',
      stderr: 'inherit',
    })
    let output = ''
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      output += chunk
      if (output.length > 1000) child.kill('SIGKILL')
    }
    const acknowledged = output.split('\n').slice(0, -1).map(Number)
    expect(acknowledged.length).toBeGreaterThan(0)
    const again = await openEmbedded(path, { onFailure: failUnexpectedly })
    const sql = connect(again)
    const kept = new Set((await sql`SELECT id FROM written`).map((row) => row.id as number))
    await sql.end()
    await again.close()
    expect(acknowledged.filter((id) => !kept.has(id))).toEqual([])
  })

  test('postgres.js replaces a session whose lifetime is over', async () => {
    const database = await openEmbedded(join(root, 'lifetime'), { onFailure: failUnexpectedly })
    const sql = connect(database, { max_lifetime: 1 })
    const end = Date.now() + 2500
    for (let i = 0; Date.now() < end; i++) expect([...(await sql`SELECT ${i}::int AS i`)]).toEqual([{ i }])
    await sql.end()
    await database.close()
  })

  test('is ended by the watchdog when it does not respond', async () => {
    const { promise, resolve } = Promise.withResolvers<string>()
    const stuck = await openEmbedded(join(root, 'stuck'), { onFailure: resolve })
    const sql = connect(stuck)
    const outcome = errorCode(sql`SELECT pg_sleep(600)`)
    expect(await promise).toContain('did not respond')
    expect(await outcome).toBe('CONNECTION_CLOSED')
  })
})
