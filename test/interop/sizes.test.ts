import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openTestApplication, type TestApplication } from '../application.ts'
import { growLog } from '../domain/publishedLog/filledLog.ts'
import { exportToDirectory, type Wanted, writeProofs } from './exports.ts'
import { buildTools, client, fsck, isLong } from './tools.ts'

const vkeyOf = (directory: string) => readFileSync(join(directory, 'log.vkey'), 'utf8').trimEnd()

/** The same at each run, so that a failure can be repeated. */
function* randomNumbers(below: number, count: number): Generator<number, void> {
  let seed = 1
  for (let drawn = 0; drawn < count; drawn++) {
    seed = (seed * 48_271) % 2_147_483_647
    yield seed % below
  }
}

beforeAll(buildTools)

describe('an exported log of other programs', () => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication('PostgreSQL')
  })
  afterAll(() => application.close())

  async function expectVerified(size: number): Promise<string> {
    const directory = await exportToDirectory(application)
    expect(await client('check', directory, vkeyOf(directory))).toBe(String(size))
    // tessera has no tree of size 0.
    if (size > 0) expect(await fsck(`file://${directory}/`, join(directory, 'log.vkey'))).toBe('')
    return directory
  }

  test.each([0, 1, 2, 255, 256, 257])('verifies at size %p, with every proof', async (size) => {
    await growLog(application, size)
    const directory = await expectVerified(size)
    const wanted: Wanted[] = Array.from({ length: size }, (_, index) => [{ index }, { from: index + 1 }]).flat()
    if (size === 0) return
    const proofs = await writeProofs(application, size, wanted)
    expect(await client('proofs', proofs, directory)).toBe(String(2 * size))
  })

  test('does not verify with a hash of a proof changed', async () => {
    const directory = await exportToDirectory(application)
    const file = await writeProofs(application, 257, [{ index: 3 }])
    const { hashes, ...proof } = JSON.parse(readFileSync(file, 'utf8'))
    writeFileSync(file, JSON.stringify({ ...proof, hashes: [hashes[1], ...hashes.slice(1)] }))
    await expect(client('proofs', file, directory)).rejects.toThrow('invalid')
  })

  const bits = isLong ? 500 : 40
  test(`shows each of ${bits} bits changed in tiles, bundles and the checkpoint`, async () => {
    await growLog(application, 700)
    const directory = await expectVerified(700)
    const seed = isLong ? String(Date.now()) : '1'
    const found = await client('flips', directory, vkeyOf(directory), String(bits), seed)
    expect({ seed, found }).toEqual({ seed, found: String(bits) })
  })

  test.each(['checkpoint', 'tile/0/001', 'tile/1/000.p/2', 'tile/entries/002.p/188'])(
    'shows a bit changed in %s to fsck',
    async (path) => {
      const directory = await exportToDirectory(application)
      const content = readFileSync(join(directory, path))
      content[40] = (content[40] ?? 0) ^ 1
      writeFileSync(join(directory, path), content)
      expect(await fsck(`file://${directory}/`, join(directory, 'log.vkey'))).not.toBe('')
    },
  )

  test.each(isLong ? [65_535, 65_536, 65_537] : [65_537])('verifies at size %p, with random proofs', async (size) => {
    await growLog(application, size, 20_000)
    const directory = await expectVerified(size)
    const count = isLong ? 1000 : 40
    const wanted = [...randomNumbers(size, count)].map((number, at) =>
      at % 2 === 0 ? { index: number } : { from: number + 1 },
    )
    const edges = [0, 255, 256, 65_534, size - 1].map((index) => ({ index }))
    const proofs = await writeProofs(application, size, [...wanted, ...edges])
    expect(await client('proofs', proofs, directory)).toBe(String(count + edges.length))
  })
})
