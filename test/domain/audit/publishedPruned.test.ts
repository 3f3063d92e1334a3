import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { recordAlone } from '../../../src/domain/audit/audited.ts'
import { createSequencer } from '../../../src/domain/audit/sequencer.ts'
import { proveEvent } from '../../../src/domain/publishedLog/eventProof.ts'
import { exportLog } from '../../../src/domain/publishedLog/exportLog.ts'
import { publishedHead, readHashes, readTile } from '../../../src/domain/publishedLog/published.ts'
import { finishPruning } from '../../../src/domain/retention/finishPruning.ts'
import { planPruning } from '../../../src/domain/retention/planPruning.ts'
import { proveConsistency, readRoot, verifyConsistency } from '../../../src/domain/transparency/proofs.ts'
import { subtreesFrom } from '../../../src/domain/transparency/tileReader.ts'
import { tileWidth } from '../../../src/domain/transparency/tree.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'

describe('a pruned log that is published', () => {
  let application: TestApplication
  let roots: Map<number, Buffer>
  beforeEach(async () => {
    application = await openTestApplication('PostgreSQL')
    await record(700)
    roots = new Map()
    for (const size of [256, 512, 600, 650]) roots.set(size, await readRoot(size, readerAt(700)))
    await planPruning(application.deps, 'command line', { below: 512 })
    await record(1)
    await finishPruning(application.deps)
  })
  afterEach(() => application.close())

  const readerAt = (size: number) =>
    subtreesFrom(size, async (tile) => {
      const hashes = await readHashes(application.deps, tile.level, tile.index * tileWidth, tile.width)
      return hashes ?? Promise.reject(new Error(`no tile ${tile.level}/${tile.index}`))
    })
  const record = async (count: number) => {
    const { deps } = application
    for (let n = 0; n < count; n++)
      await recordAlone(deps, { event: { event: 'password.rehashed', username: 'admin' } })
    await createSequencer(deps, true).run()
  }

  test('proves what is left, and names what was pruned', async () => {
    const { size } = await publishedHead(application.deps)
    for (const index of [512, 600, size - 1])
      expect((await proveEvent(application.deps, index)).proof.index).toBe(index)
    await expect(proveEvent(application.deps, 511)).rejects.toMatchObject({
      code: 'not_found',
      message: 'Record 511 was pruned. The audit log begins at record 512.',
    })
  })

  test('is consistent with the heads that it had, of whole tiles and from the minimum index on', async () => {
    const { size, root } = await publishedHead(application.deps)
    for (const [from, fromRoot] of roots) {
      const proof = await proveConsistency(from, size, readerAt(size))
      expect(verifyConsistency({ from, fromRoot, size, root, proof })).toBe(true)
    }
  })

  test('has the tiles from the minimum index on, and all above level 0', async () => {
    const tile = (level: number | 'entries', index: number, width = 256) =>
      readTile(application.deps, { level, index, width } as Parameters<typeof readTile>[1])
    expect(await tile('entries', 1)).toBeUndefined()
    expect(await tile(0, 1)).toBeUndefined()
    expect(await tile(0, 2, 100)).toHaveLength(3200)
    expect(await tile('entries', 2, 100)).toBeDefined()
    expect(await tile(1, 0, 2)).toHaveLength(64)
  })

  test('is exported with the checkpoint that its nodes and records make', async () => {
    const parts = exportLog(application.deps, 'command line', { personal: false })
    const paths: string[] = []
    let part = await parts.next()
    for (; !part.done; part = await parts.next()) paths.push(part.value.path)
    expect(part.value).toMatchObject({ mismatches: 0 })
    expect(paths.filter((path) => path.startsWith('tile/entries/')).at(0)).toStartWith('tile/entries/002')
    expect(paths).toContain('tile/1/000.p/2')
  })
})
