import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { compile, makeAssets } from './compile.ts'
import { digestOfInputs, isUpToDate, stampOf } from './inputs.ts'
import { fileName, findPlatform, platforms } from './platforms.ts'

/**
 * Builds dist/audittrail for this machine, or dist/audittrail-PLATFORM with `--target=PLATFORM`.
 * `--outfile=FILE` writes to another file. `--if-changed` does nothing if dist/audittrail is made
 * of the present files.
 */
const root = join(import.meta.dir, '..')
const executable = 'dist/audittrail'
const stampFile = join(root, 'dist/stamp')
const { target, outfile, 'if-changed': ifChanged = false } = readFlags()
const platform = target === undefined ? undefined : findPlatform(target)
if (target !== undefined && !platform)
  fail(`Unknown target "${target}". Use one of ${platforms.map(({ name }) => name).join(', ')}.`)

if (ifChanged && isUpToDate(root, executable, stampFile)) process.exit(0)

mkdirSync(join(root, 'dist'), { recursive: true })
const defaultFile = platform ? fileName(`${executable}-${platform.name}`, platform) : executable
const isDefault = platform === undefined && outfile === undefined
if (isDefault) rmSync(stampFile, { force: true })
const digest = digestOfInputs(root)
for (const step of [() => makeAssets(), () => compile(platform, outfile ?? defaultFile)]) {
  const { code } = await step()
  if (code !== 0) process.exit(1)
}
// A file that was saved during the build may be in it or not.
if (isDefault && digest === digestOfInputs(root)) writeFileSync(stampFile, stampOf(root, executable))

function readFlags(): { target?: string; outfile?: string; 'if-changed'?: boolean } {
  try {
    return parseArgs({
      options: { target: { type: 'string' }, outfile: { type: 'string' }, 'if-changed': { type: 'boolean' } },
    }).values
  } catch (error) {
    return fail(
      `${error instanceof Error ? error.message : error}. The flags are --target=PLATFORM, --outfile=FILE and --if-changed.`,
    )
  }
}

function fail(line: string): never {
  console.error(`build: ${line}`)
  process.exit(2)
}
