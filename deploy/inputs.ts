import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Everything that the executable is made of. */
const patterns = [
  'src/**',
  'drizzle/**',
  'deploy/*.{ts,txt}',
  'package.json',
  'bun.lock',
  'bunfig.toml',
  'tsconfig.json',
]

/**
 * Returns a digest of the files that the executable under `root` is made of, and of Bun's version.
 */
export function digestOfInputs(root: string): string {
  const digest = new Bun.CryptoHasher('sha256').update(Bun.version)
  const files = patterns.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: root, dot: true })]).sort()
  for (const file of files) {
    const contents = readFileSync(join(root, file))
    digest.update(`\n${file} ${contents.length}\n`).update(contents)
  }
  return digest.digest('hex')
}

/** Returns what identifies one build of an executable: its inputs, size and time. */
export function stampOf(root: string, executable: string): string {
  const { size, mtimeMs } = statSync(join(root, executable))
  return `${digestOfInputs(root)} ${size} ${mtimeMs}\n`
}

/** Returns whether the stamp is that of the executable and its present inputs. */
export function isUpToDate(root: string, executable: string, stampFile: string): boolean {
  if (!existsSync(join(root, executable)) || !existsSync(stampFile)) return false
  return readFileSync(stampFile, 'utf8') === stampOf(root, executable)
}
