import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { parseLeaf } from '../../../src/domain/audit/leaf.ts'
import { acceptRestored } from '../../../src/domain/audit/restored.ts'
import { isCommitted } from '../../../src/domain/audit/sequencing.ts'
import { exportLog } from '../../../src/domain/publishedLog/exportLog.ts'
import { readCheckpoint } from '../../../src/domain/transparency/checkpoint.ts'
import { splitNotes } from '../../../src/domain/transparency/notes.ts'
import { parseVerifierKey } from '../../../src/domain/transparency/signedNote.ts'
import { readBundle, tilePath, tilesOf } from '../../../src/domain/transparency/tiles.ts'
import { appendLeaves, emptyEdge, emptyRoot, hashLeaf, rootOf } from '../../../src/domain/transparency/tree.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { growLog, withChange } from './filledLog.ts'

async function exportOf({ deps }: TestApplication, personal = false) {
  const files = new Map<string, Buffer>()
  const parts = exportLog(deps, 'command line', { personal })
  for (;;) {
    const { done, value } = await parts.next()
    if (done) return { files, textOf: (path: string) => files.get(path)?.toString() ?? '', ...value }
    files.set(value.path, Buffer.concat([files.get(value.path) ?? Buffer.alloc(0), value.content]))
  }
}

function leavesOf(files: ReadonlyMap<string, Buffer>): string[] {
  const bundles = [...files].filter(([path]) => path.startsWith('tile/entries/')).map(([, content]) => content)
  return bundles.flatMap((bundle) => readBundle(bundle) ?? []).map(String)
}

describe('an export of the audit log', () => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication('PostgreSQL')
  })
  afterAll(() => application.close())

  test('of an empty log has a checkpoint of size 0', async () => {
    const { files, textOf, size, mismatches } = await exportOf(application)
    expect([...files.keys()]).toEqual(['log.vkey', 'checkpoints', 'checkpoint'])
    expect({ size, mismatches }).toEqual({ size: 0, mismatches: 0 })
    expect(textOf('checkpoint').split('\n')[2]).toBe(emptyRoot.toString('base64'))
  })

  test.each([1, 2, 255, 256, 257, 600])(
    'has the tiles, bundles and signed checkpoints of a log of size %p',
    async (size) => {
      await growLog(application, size, 50)
      const { files, textOf, ...result } = await exportOf(application)
      expect(result).toEqual({ size, mismatches: 0 })
      const tiles = [...tilesOf(size)]
      const bundles = tiles.filter(({ level }) => level === 0).map((tile) => ({ ...tile, level: 'entries' as const }))
      const names = ['log.vkey', 'checkpoints', 'checkpoint', ...[...tiles, ...bundles].map(tilePath)]
      expect([...files.keys()].sort()).toEqual(names.sort())

      const verifier = parseVerifierKey(textOf('log.vkey').trimEnd())
      const leaves = leavesOf(files)
      const hashes = leaves.map(hashLeaf)
      const rootAt = (at: number) => rootOf(appendLeaves(emptyEdge, hashes.slice(0, at)).edge)
      const checkpoints = splitNotes(textOf('checkpoints')).notes.map((note) =>
        readCheckpoint(note, verifier?.name ?? '', verifier ? [verifier] : []),
      )
      expect(checkpoints.at(-1)?.size).toBe(size)
      for (const checkpoint of checkpoints) expect(checkpoint?.root).toEqual(rootAt(checkpoint?.size ?? -1))
      expect(splitNotes(textOf('checkpoints')).notes.at(-1)).toBe(textOf('checkpoint'))
      for (const { level, index, width } of tiles.filter((tile) => tile.level === 0))
        expect(files.get(tilePath({ level, index, width }))).toEqual(
          Buffer.concat(hashes.slice(index * 256, index * 256 + width)),
        )
      expect(leaves).toHaveLength(size)
    },
  )

  test('has no name and no address, unless it is asked for', async () => {
    const { files } = await exportOf(application)
    const all = Buffer.concat([...files.values()]).toString('latin1')
    expect(['ada@example.com', '198.51.100.7', '"salt"'].filter((text) => all.includes(text))).toEqual([])
  })

  test('has the personal texts that its leaves commit to, on request', async () => {
    const { files, textOf } = await exportOf(application, true)
    const lines = textOf('private.ndjson').trimEnd().split('\n')
    const texts = lines.map((line) => JSON.parse(line))
    const leaves = leavesOf(files).map(parseLeaf)
    expect(texts.map(({ index }) => index)).toEqual(leaves.map((_, index) => index))
    expect(
      texts.every(({ by, about }, at) => {
        const leaf = leaves[at]
        return isCommitted(leaf?.by.private, by) && isCommitted(leaf?.about?.private, about)
      }),
    ).toBe(true)
    expect(JSON.parse(texts.at(-1).by).address).toBe('198.51.100.7')
    expect(JSON.parse(texts.at(-1).about).username).toBe('ada@example.com')
  })

  test('is recorded, with whether it has personal texts', async () => {
    await application.sql('DELETE FROM audittrail_audit_pending')
    await exportOf(application, true)
    const [row] = await application.sql('SELECT leaf FROM audittrail_audit_pending')
    const leaf = parseLeaf(String(row?.leaf))
    expect(leaf).toMatchObject({ type: 'audit.exported', facts: { format: 'tlog-tiles', personal: true } })
  })

  const events = 'audittrail_audit_events'
  test.each([
    ['leaf', `UPDATE ${events} SET leaf = replace(leaf, 'login', 'logon') WHERE index = 300`],
    ['hash', `UPDATE ${events} SET hash = sha256('x') WHERE index = 300`],
    ['node', `UPDATE audittrail_audit_nodes SET hash = sha256('x') WHERE index = 1`],
    ['hash at the edge', `UPDATE ${events} SET hash = sha256('x'), leaf = 'x' WHERE index = 599`],
  ])('tells that a %s was changed', async (_, change) => {
    const { mismatches } = await withChange(application, change, () => exportOf(application))
    expect(mismatches).toBeGreaterThan(0)
  })

  test.each([
    ['record', `DELETE FROM ${events} WHERE index = 300`],
    ['record at the end', `DELETE FROM ${events} WHERE index = 599`],
    ['node', `DELETE FROM audittrail_audit_nodes WHERE index = 1`],
  ])('is refused if a %s is missing', async (_, change) => {
    const exported = withChange(application, change, () => exportOf(application))
    await expect(exported).rejects.toMatchObject({ code: 'refused' })
  })

  test.each([
    [
      'a checkpoint without a valid signature',
      `UPDATE audittrail_audit_checkpoints SET note = replace(note, ' ', '  ')`,
    ],
    ['an older checkpoint in its place', `UPDATE audittrail_audit_checkpoints SET size = 601 WHERE size = 2`],
    ['another name', `UPDATE audittrail_audit_state SET origin = 'other.example.com/log'`],
  ])('is refused with %s', async (_, change) => {
    const exported = withChange(application, change, () => exportOf(application))
    await expect(exported).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('of a log that was restored has the keys of its former name, which signed its older checkpoints', async () => {
    const before = await exportOf(application)
    await acceptRestored(application.deps)
    await growLog(application, 601)
    const { files, textOf } = await exportOf(application)
    expect(files.has('former.vkeys')).toBe(true)
    expect(textOf('former.vkeys').split('\n')).toContain(before.textOf('log.vkey').trimEnd())
    const vkeys = [textOf('log.vkey').trimEnd(), ...textOf('former.vkeys').trimEnd().split('\n')]
    const verifiers = vkeys.flatMap((vkey) => parseVerifierKey(vkey) ?? [])
    const { notes } = splitNotes(textOf('checkpoints'))
    const origins = notes.map((note) => note.slice(0, note.indexOf('\n')))
    expect(notes.every((note, at) => readCheckpoint(note, origins[at] ?? '', verifiers))).toBe(true)
    expect(new Set(origins).size).toBe(2)
    expect(origins.at(-1)).toBe(verifiers[0]?.name)
  })
})
