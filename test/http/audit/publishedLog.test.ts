import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readCheckpoint } from '../../../src/domain/transparency/checkpoint.ts'
import { readBundle, type Tile, tilePath, tilesOf, writeBundle } from '../../../src/domain/transparency/tiles.ts'
import { appendLeaves, emptyEdge, hashLeaf, rootOf } from '../../../src/domain/transparency/tree.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { growLog, withChange } from '../../domain/publishedLog/filledLog.ts'
import { createAccounts } from '../accounts.ts'

describe('the published audit log', () => {
  let application: TestApplication
  let key: string
  beforeAll(async () => {
    application = await openTestApplication('PostgreSQL')
    key = await application.apiKey({ scopes: ['audit:read'] })
  })
  afterAll(() => application.close())

  const accounts = createAccounts(() => application)
  const get = (path: string, credential = key, method = 'GET') =>
    application.call(`/audit/log/${path}`, { method, headers: { authorization: `Bearer ${credential}` } })
  const bytesOf = async (path: string) => {
    const response = await get(path)
    expect([path, response.status]).toEqual([path, 200])
    return Buffer.from(await response.arrayBuffer())
  }
  const statusOf = async (path: string) => (await get(path)).status
  const checkpoint = async () => {
    const note = (await bytesOf('checkpoint')).toString()
    return readCheckpoint(note, 'audittrail/test', application.deps.audit.keys.signersFor('audittrail/test'))
  }

  /** Every tile that a log of this size has ever had, with the leaves as its content. */
  function partialTilesOf(leaves: readonly string[]): (readonly [Tile, Buffer])[] {
    const hashes = leaves.map(hashLeaf)
    const { nodes } = appendLeaves(emptyEdge, hashes)
    const levels = [hashes, nodes.filter(({ level }) => level === 1).map(({ hash }) => hash)]
    return [...tilesOf(leaves.length)].flatMap(({ level, index, width }) =>
      Array.from({ length: width }, (_, at) => at + 1).flatMap((part) => {
        const of = <T>(list: readonly T[]) => list.slice(index * 256, index * 256 + part)
        const tile = [{ level, index, width: part }, Buffer.concat(of(levels[level] ?? []))] as const
        const bundle = [{ level: 'entries', index, width: part }, writeBundle(of(leaves))] as const
        return level === 0 ? [tile, bundle] : [tile]
      }),
    )
  }

  test.each([0, 1, 2, 255, 256, 257])(
    'has every partial tile of every size up to %p, and nothing else',
    async (size) => {
      await growLog(application, size)
      const rows = await application.sql('SELECT leaf FROM audittrail_audit_events ORDER BY index')
      const leaves = rows.map(({ leaf }) => String(leaf))
      const { edge } = appendLeaves(emptyEdge, leaves.map(hashLeaf))
      expect(await checkpoint()).toEqual({ origin: 'audittrail/test', size, root: rootOf(edge) })
      const tiles = partialTilesOf(leaves)
      for (const [tile, content] of tiles) expect((await bytesOf(tilePath(tile))).equals(content)).toBe(true)

      const known = new Set(tiles.map(([tile]) => tilePath(tile)))
      const around = [0, 1, 2].flatMap((index) =>
        [1, 2, 3, 255, 256].flatMap((width) =>
          ([0, 1, 2, 'entries'] as const).map((level) => tilePath({ level, index, width })),
        ),
      )
      for (const path of around) expect([path, await statusOf(path)]).toEqual([path, known.has(path) ? 200 : 404])
    },
    60_000,
  )

  test('has bundles that are read as the leaves', async () => {
    const [first] = readBundle(await bytesOf('tile/entries/000')) ?? []
    expect(JSON.parse(String(first))).toMatchObject({ v: 1, type: 'login.succeeded' })
  })

  test('has tiles that only the cache of the client keeps, and a checkpoint that none does', async () => {
    const { headers } = await get('tile/0/000.p/3')
    expect(headers.get('cache-control')).toBe('private, max-age=31536000, immutable')
    expect(headers.get('content-type')).toBe('application/octet-stream')
    const note = await get('checkpoint')
    expect(note.headers.get('cache-control')).toBe('no-store')
    expect(note.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    const missing = await get('tile/0/002')
    expect([missing.status, missing.headers.get('cache-control')]).toEqual([404, 'no-store'])
    expect(await missing.json()).toMatchObject({ type: 'urn:audittrail:problem:not_found' })
  })

  test('returns the headers of a tile to HEAD', async () => {
    const response = await get('tile/0/000', key, 'HEAD')
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/octet-stream'])
    expect(await response.text()).toBe('')
  })

  test.each([
    'tile/0/0',
    'tile/0/x000/000',
    'tile/0/x1/000',
    'tile/0/000.p/0',
    'tile/0/000.p/256',
    'tile/0/000.p/01',
    'tile/0/%300',
    'tile/0/00%30',
    'tile/0/000/',
    'tile/0//000',
    'tile/64/000',
    'tile/-1/000',
    'tile/00/000',
    'tile/8/000',
    'tile/data/000',
    'tile/8/0/000',
    'tile/0/000/..%2f000',
    'tile/0/x999/x999/x999/x999/x999/999',
    'tile/',
    'tile',
    '',
    'checkpoint/000',
    'log.vkey',
    'checkpoints',
    'private.ndjson',
    'issuer/000',
  ])('returns 404 for %p', async (path) => {
    expect(await statusOf(path)).toBe(404)
  })

  test('ignores a query', async () => {
    expect(await statusOf('tile/0/000?x=1')).toBe(200)
  })

  const paths = ['checkpoint', 'tile/0/000', 'tile/entries/000.p/1', 'tile/9/nonsense']

  test('is closed without credentials, to users and to API keys without the scope', async () => {
    const { access_token: token } = await accounts.signIn((await accounts.makeUser()).username)
    const scopes = ['introspect', 'users:read', 'users:write'] as const
    const others = await Promise.all(scopes.map((scope) => application.apiKey({ scopes: [scope] })))
    for (const path of paths) {
      expect((await application.call(`/audit/log/${path}`)).status).toBe(401)
      for (const other of [token, ...others]) expect((await get(path, other)).status).toBe(403)
    }
  })

  test('is open to administrators, once they have changed their initial password', async () => {
    const boss = await accounts.makeAdministrator()
    expect((await get('checkpoint', boss.token)).status).toBe(200)
    expect((await get('checkpoint', await application.accessToken())).status).toBe(403)
  })

  test('returns 503 once this server has found the log to be inconsistent', async () => {
    application.deps.audit.inconsistency = 'rewritten'
    for (const path of paths.slice(0, 3)) expect(await statusOf(path)).toBe(503)
    application.deps.audit.inconsistency = undefined
    expect(await statusOf('checkpoint')).toBe(200)
  })

  test.each([
    ['signature', `UPDATE audittrail_audit_checkpoints SET note = 'x'`],
    ['size', `UPDATE audittrail_audit_checkpoints SET size = 300 WHERE size = 2`],
  ])('returns 503 if the newest checkpoint has another %s', async (_, change) => {
    const status = await withChange(application, change, async () => statusOf('tile/0/000'))
    expect(status).toBe(503)
  })

  test('returns 404 for a tile that has lost a record', async () => {
    const change = 'DELETE FROM audittrail_audit_events WHERE index = 3'
    const statuses = await withChange(application, change, () =>
      Promise.all(['tile/0/000', 'tile/entries/000', 'tile/0/000.p/3', 'tile/0/001.p/1'].map(statusOf)),
    )
    expect(statuses).toEqual([404, 404, 200, 200])
  })

  test('has nothing that the newest checkpoint does not cover', async () => {
    const change = `
      INSERT INTO audittrail_audit_events (index, leaf, hash, seal, process, n, time, type, outcome)
      VALUES (257, '{}', sha256('x'), '', 'p', 1, now(), 'logout', 'done')`
    expect(await withChange(application, change, () => statusOf('tile/0/001.p/2'))).toBe(404)
  })
})
