import { createHash } from 'node:crypto'
import { commitmentOf } from '../../../src/domain/audit/leaf.ts'
import { writeCheckpoint } from '../../../src/domain/transparency/checkpoint.ts'
import { joinNotes } from '../../../src/domain/transparency/notes.ts'
import { createNoteSigner, type NoteSigner } from '../../../src/domain/transparency/signedNote.ts'
import { tilePath, tilesOf, writeBundle } from '../../../src/domain/transparency/tiles.ts'
import { emptyRoot, growTree, hashLeaf, perfectRoot, tileWidth } from '../../../src/domain/transparency/tree.ts'

/** The files of an export, by their paths. */
export type Files = Map<string, Buffer>

export interface SampleRecord {
  readonly leaf: string
  readonly by: string | null
  readonly about: string | null
}

export const origin = 'auth.example.com/api/audit/log'
export const signer: NoteSigner = createNoteSigner(origin, Buffer.alloc(32, 7))
export const processId = '0123456789abcdef'
export const alice = '11111111-1111-4111-8111-111111111111'

/** A record as the service writes it, except for the members that are given. */
export function sampleRecord(n: number, members: Readonly<Record<string, unknown>> = {}): SampleRecord {
  const salt = createHash('sha256').update(`salt ${n}`).digest().subarray(0, 16).toString('base64')
  const by = JSON.stringify({
    salt,
    username: 'alice',
    full_name: 'Alice Doe',
    address: '192.0.2.1',
    agent: 'curl/8.5',
  })
  const leaf = JSON.stringify({
    v: 1,
    p: processId,
    n,
    done: n - 1,
    time: new Date(Date.UTC(2026, 10, 28, 12) + n * 1000).toISOString(),
    type: 'login.succeeded',
    by: { kind: 'user', id: alice, private: commitmentOf(by) },
    request: `request-${n}`,
    outcome: 'done',
    facts: {},
    ...members,
  })
  return { leaf, by, about: null }
}

/** A record without personal texts. */
export function systemRecord(n: number, type: string, facts: object = {}, members: object = {}): SampleRecord {
  const { leaf } = sampleRecord(n, { type, by: { kind: 'system' }, facts, ...members })
  return { leaf, by: null, about: null }
}

export function sampleRecords(count: number): SampleRecord[] {
  return Array.from({ length: count }, (_, at) => (at === 0 ? systemRecord(1, 'server.started') : sampleRecord(at + 1)))
}

export interface SampleOptions {
  /** The sizes of kept checkpoints, besides the newest. */
  readonly kept?: readonly number[]
  readonly signers?: readonly NoteSigner[]
}

/** Returns the export of a log. */
export function sampleExport(
  records: readonly SampleRecord[],
  { kept, signers = [signer] }: SampleOptions = {},
): Files {
  const files: Files = new Map()
  const hashes = records.map(({ leaf }) => hashLeaf(leaf))
  const sizes = [...new Set([...(kept ?? []), records.length])]
  files.set('checkpoints', Buffer.from(joinNotes(sizes.map((size) => noteOf(hashes.slice(0, size), signers)))))
  files.set('checkpoint', Buffer.from(noteOf(hashes, signers)))
  files.set('log.vkey', Buffer.from(signers.map(({ vkey }) => `${vkey}\n`).join('')))
  const lines = records.map(({ by, about }, index) => `${JSON.stringify({ index, by, about })}\n`)
  files.set('private.ndjson', Buffer.from(lines.join('')))
  const rows = [hashes]
  for (const tile of tilesOf(records.length)) {
    const start = tile.index * tileWidth
    const row = rows[tile.level] ?? parentsOf(rows[tile.level - 1] ?? [])
    rows[tile.level] = row
    files.set(tilePath(tile), Buffer.concat(row.slice(start, start + tile.width)))
    const leaves = records.slice(start, start + tile.width).map(({ leaf }) => leaf)
    if (tile.level === 0) files.set(tilePath({ ...tile, level: 'entries' }), writeBundle(leaves))
  }
  return files
}

export function noteOf(hashes: readonly Buffer[], signers: readonly NoteSigner[] = [signer]): string {
  return writeCheckpoint({ origin: signers[0]?.name ?? '', size: hashes.length, root: rootOf(hashes) }, signers)
}

/** Returns the checkpoint of the first records. */
export function checkpointAt(records: readonly SampleRecord[], size: number, signers?: readonly NoteSigner[]): string {
  return noteOf(
    records.slice(0, size).map(({ leaf }) => hashLeaf(leaf)),
    signers,
  )
}

function rootOf(hashes: readonly Buffer[]): Buffer {
  const tree = growTree()
  for (const hash of hashes) tree.append(hash)
  return hashes.length === 0 ? emptyRoot : tree.root()
}

function parentsOf(row: readonly Buffer[]): Buffer[] {
  return Array.from({ length: Math.floor(row.length / tileWidth) }, (_, at) =>
    perfectRoot(row, at * tileWidth, tileWidth),
  )
}
