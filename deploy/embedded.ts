// Packs PGlite for the binary (bun deploy/embedded.ts): the engine, its files, and an empty
// cluster, so that the first start skips initdb (seconds, and 1 GB of memory). The result depends
// only on PGlite's version and this file.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'

const outputDirectory = join(import.meta.dir, '../dist/embedded')
const packageDirectory = dirname(dirname(Bun.resolveSync('@electric-sql/pglite', import.meta.dir)))
const assetNames = ['pglite.wasm.zst', 'pglite.data.zst', 'cluster.tar.zst']

const version: unknown = (await Bun.file(join(packageDirectory, 'package.json')).json()).version
const stamp = `${version} ${new Bun.CryptoHasher('sha256').update(readFileSync(import.meta.path)).digest('hex')}\n`
const stampFile = join(outputDirectory, 'stamp')

if (!(await isUpToDate())) {
  const started = performance.now()
  mkdirSync(outputDirectory, { recursive: true })
  rmSync(stampFile, { force: true })
  for (const name of ['pglite.wasm', 'pglite.data']) pack(name, readFileSync(join(packageDirectory, 'dist', name)))
  pack('cluster.tar', await makeCluster())
  writeFileSync(stampFile, stamp)
  console.log(`dist/embedded built in ${Math.round(performance.now() - started)} ms`)
}

async function isUpToDate(): Promise<boolean> {
  const saved = Bun.file(stampFile)
  if (!(await saved.exists()) || (await saved.text()) !== stamp) return false
  return (await Promise.all(assetNames.map((name) => Bun.file(join(outputDirectory, name)).exists()))).every(Boolean)
}

function pack(name: string, bytes: Uint8Array): void {
  const packed = Bun.zstdCompressSync(bytes, { level: 19 })
  writeFileSync(join(outputDirectory, `${name}.zst`), packed)
  console.log(`${name}: ${bytes.length} -> ${packed.length}`)
}

async function makeCluster(): Promise<Uint8Array> {
  const directory = mkdtempSync(join(tmpdir(), 'audittrail-cluster-'))
  try {
    // 1 MiB segments keep pg_wal small, since max_wal_size derives from them.
    const db = await PGlite.create(directory, { initDbStartParams: ['--wal-segsize=1', '--no-instructions'] })
    // The templates are never used: they would only take space and delay freezing old rows.
    for (const template of ['template0', 'template1']) {
      await db.exec(`ALTER DATABASE ${template} IS_TEMPLATE false`)
      await db.exec(`DROP DATABASE ${template}`)
    }
    await db.exec('VACUUM (FREEZE, ANALYZE)')
    await db.exec('CHECKPOINT')
    const { rows } = await db.query<{ segment: string }>('SELECT pg_walfile_name(pg_current_wal_lsn()) AS segment')
    await db.close()
    return tar(directory, rows[0]?.segment ?? '')
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/**
 * Returns a ustar archive of `root` without the preallocated WAL segments, which PostgreSQL
 * recreates.
 */
function tar(root: string, lastSegment: string): Uint8Array {
  const blocks: Uint8Array[] = []
  const walk = (folder: string): void => {
    for (const name of readdirSync(join(root, folder)).sort()) {
      const path = folder === '' ? name : `${folder}/${name}`
      const directory = statSync(join(root, path)).isDirectory()
      if (!directory && folder === 'pg_wal' && name > lastSegment) continue
      const content = directory ? new Uint8Array() : readFileSync(join(root, path))
      blocks.push(header(path, directory, content.length), content, new Uint8Array(-content.length & 511))
      if (directory) walk(path)
    }
  }
  walk('')
  return Buffer.concat([...blocks, new Uint8Array(1024)])
}

function header(path: string, directory: boolean, size: number): Uint8Array {
  const block = Buffer.alloc(512)
  const octal = (value: number, offset: number, width: number) =>
    block.write(value.toString(8).padStart(width - 1, '0'), offset)
  if (path.length > 99) throw new Error(`The path is too long for a tar header: ${path}`)
  block.write(directory ? `${path}/` : path, 0)
  octal(directory ? 0o700 : 0o600, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(size, 124, 12)
  octal(0, 136, 12)
  block.write(directory ? '5' : '0', 156)
  block.write('ustar\u000000', 257)
  block.fill(' ', 148, 156)
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  )
  block[154] = 0
  return block
}
