import { describe, expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileVectors } from '../domain/offlineVerification/fileVectors.ts'
import { headVectors } from '../domain/offlineVerification/headVectors.ts'
import { recordVectors } from '../domain/offlineVerification/recordVectors.ts'
import { type Files, signer } from '../domain/offlineVerification/sampleLog.ts'
import { changed, type Vector } from '../domain/offlineVerification/vector.ts'

const file = join(import.meta.dir, '../../examples/verify-audit/vectors.json')
const base = changed()

/** Returns the files that differ from those of the first log; null for one that is missing. */
function differences(files: Files): Readonly<Record<string, string | null>> {
  const paths = [...new Set([...base.keys(), ...files.keys()])].filter((path) => {
    const [before, after] = [base.get(path), files.get(path)]
    return before === undefined || after === undefined || !before.equals(after)
  })
  return Object.fromEntries(paths.map((path) => [path, files.get(path)?.toString('base64') ?? null]))
}

function caseOf({
  name,
  files,
  vkeys = [signer.vkey],
  policy = null,
  checkpoints = [],
  findings,
}: Vector | PolicyVector) {
  return { name, vkeys, policy, checkpoints, files: differences(files), exit: findings.length > 0 ? 1 : 0, findings }
}

type PolicyVector = Omit<Vector, 'policy'> & { readonly policy?: string | null }

// UPDATE_VECTORS=1 writes the file.
describe('examples/verify-audit/vectors.json', () => {
  test('has the vectors that both verifiers are tested with', () => {
    const vectors = {
      files: Object.fromEntries([...base].map(([path, content]) => [path, content.toString('base64')])),
      cases: [...fileVectors, ...recordVectors, ...headVectors].map(caseOf),
    }
    if (process.env.UPDATE_VECTORS === '1') writeFileSync(file, `${JSON.stringify(vectors, null, 2)}\n`)
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(vectors)
  })
})
