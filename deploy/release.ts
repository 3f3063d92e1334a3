import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import manifest from '../package.json' with { type: 'json' }
import { checksums } from './checksums.ts'
import { compile, makeAssets } from './compile.ts'
import { declareRoutes } from './declarations.ts'
import { findProblem } from './executable.ts'
import { fileName, type Platform, platforms } from './platforms.ts'
import { makeSbom, packagePath, type SbomInput } from './sbom.ts'

/**
 * Builds dist/release: an executable per platform, a bill of materials, the types of the routes,
 * and SHA256SUMS.
 */
const root = join(import.meta.dir, '..')
const directory = join(root, 'dist/release')
const stem = `${manifest.name}-${manifest.version}`
const names: string[] = []

rmSync(directory, { recursive: true, force: true })
mkdirSync(directory, { recursive: true })
if ((await makeAssets()).code !== 0) process.exit(1)
for (const [index, platform] of platforms.entries()) names.push(await release(platform, index))

write(`${stem}.cdx.json`, `${JSON.stringify(describeContents(), null, 2)}\n`)
write(`${stem}.d.ts`, declareRoutes())
writeFileSync(join(directory, 'SHA256SUMS'), await checksums(directory, names))
console.log(`dist/release: ${names.length} files and SHA256SUMS`)

function write(name: string, text: string): void {
  writeFileSync(join(directory, name), text)
  names.push(name)
}

async function release(platform: Platform, index: number): Promise<string> {
  const name = fileName(`${stem}-${platform.name}`, platform)
  const file = join(directory, name)
  const started = performance.now()
  const terminal = process.stdout.isTTY
  if (terminal) process.stdout.write(`[${index + 1}/${platforms.length}] ${platform.name} …`)
  const { code, output } = await compile(platform, file, 'pipe')
  const problem = code === 0 ? findProblem(readFileSync(file), platform) : `did not compile:\n${output}`
  if (terminal) process.stdout.write('\r\x1b[K')
  if (problem !== undefined) {
    console.error(`release: ${name} ${problem}`)
    process.exit(1)
  }
  const [megabytes, seconds] = [statSync(file).size / 1e6, (performance.now() - started) / 1000]
  console.log(
    `[${index + 1}/${platforms.length}] ${name.padEnd(stem.length + 22)} ${megabytes.toFixed(1).padStart(6)} MB  ${seconds.toFixed(1)} s`,
  )
  return name
}

function describeContents(): object {
  return makeSbom({
    manifest,
    files: ['swagger-ui-dist'],
    lock: Bun.JSONC.parse(readFileSync(join(root, 'bun.lock'), 'utf8')) as SbomInput['lock'],
    licenseOf: (key) => {
      const file = join(root, 'node_modules', packagePath(key).join('/node_modules/'), 'package.json')
      return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).license : undefined
    },
    bunVersion: Bun.version,
    postgresqlVersion: postgresqlVersion(),
    timestamp: commitTime(),
  })
}

/** Only the WebAssembly module itself has the version that PGlite was built from. */
function postgresqlVersion(): string {
  const wasm = readFileSync(join(root, 'node_modules/@electric-sql/pglite/dist/pglite.wasm'))
  const at = wasm.indexOf('PostgreSQL 1')
  const version = /^PostgreSQL (\d+\.\d+)/.exec(wasm.toString('latin1', at, at + 20))?.[1]
  if (!version) throw new Error('pglite.wasm does not contain the version of PostgreSQL.')
  return version
}

function commitTime(): string {
  const { status, stdout } = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' })
  return new Date(status === 0 ? Number(stdout) * 1000 : Date.now()).toISOString()
}
