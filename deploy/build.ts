import { mkdirSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { compile, makeAssets } from './compile.ts'
import { fileName, findPlatform, platforms } from './platforms.ts'

/**
 * Builds dist/audittrail for this machine, or dist/audittrail-PLATFORM with `--target=PLATFORM`.
 * `--outfile=FILE` writes to another file.
 */
const { target, outfile } = readFlags()
const platform = target === undefined ? undefined : findPlatform(target)
if (target !== undefined && !platform)
  fail(`Unknown target "${target}". Use one of ${platforms.map(({ name }) => name).join(', ')}.`)

mkdirSync(`${import.meta.dir}/../dist`, { recursive: true })
const defaultFile = platform ? fileName(`dist/audittrail-${platform.name}`, platform) : 'dist/audittrail'
for (const step of [() => makeAssets(), () => compile(platform, outfile ?? defaultFile)]) {
  const { code } = await step()
  if (code !== 0) process.exit(1)
}

function readFlags(): { target?: string; outfile?: string } {
  try {
    return parseArgs({ options: { target: { type: 'string' }, outfile: { type: 'string' } } }).values
  } catch (error) {
    return fail(
      `${error instanceof Error ? error.message : error}. The flags are --target=PLATFORM and --outfile=FILE.`,
    )
  }
}

function fail(line: string): never {
  console.error(`build: ${line}`)
  process.exit(2)
}
