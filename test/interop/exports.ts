import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openOutputDirectory } from '../../src/cli/terminal/outputDirectory.ts'
import { exportLog } from '../../src/domain/publishedLog/exportLog.ts'
import { readHashes } from '../../src/domain/publishedLog/published.ts'
import { proveConsistency, proveInclusion, readRoot } from '../../src/domain/transparency/proofs.ts'
import { subtreesFrom } from '../../src/domain/transparency/tileReader.ts'
import type { TestApplication } from '../application.ts'
import { temporaryDirectory } from '../endOfFile.ts'

/** Exports the log of an application to a new directory. */
export async function exportToDirectory({ deps }: TestApplication): Promise<string> {
  const directory = temporaryDirectory('interop')
  const output = openOutputDirectory(directory, () => false)
  const parts = exportLog(deps, 'test', { personal: false })
  for (let part = await parts.next(); !part.done; part = await parts.next())
    output.write(part.value.path, part.value.content)
  output.close()
  return directory
}

/** A proof to make: that a record is in the log, or that the log extends a smaller one. */
export type Wanted = { readonly index: number } | { readonly from: number }

/** Writes proofs of the log at a size for `client proofs`. Returns the file. */
export async function writeProofs({ deps }: TestApplication, size: number, wanted: Iterable<Wanted>): Promise<string> {
  const treeOf = (at: number) =>
    subtreesFrom(at, async ({ level, index, width }) => (await readHashes(deps, level, index * 256, width)) ?? [])
  const tree = treeOf(size)
  const root = await readRoot(size, tree)
  const base64 = (hash: Buffer | undefined) => hash?.toString('base64')
  const lines: string[] = []
  for (const proof of wanted) {
    const hashes =
      'index' in proof ? await proveInclusion(proof.index, size, tree) : await proveConsistency(proof.from, size, tree)
    const subject =
      'index' in proof
        ? { ...proof, leaf: base64(await tree({ height: 0, index: proof.index })) }
        : { ...proof, fromRoot: base64(await readRoot(proof.from, treeOf(proof.from))) }
    lines.push(`${JSON.stringify({ ...subject, size, root: base64(root), hashes: hashes.map(base64) })}\n`)
  }
  const file = join(temporaryDirectory('proofs'), 'proofs.ndjson')
  writeFileSync(file, lines.join(''))
  return file
}
