import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readExecutable } from './executable.ts'
import { type Platform, platforms } from './platforms.ts'

const root = join(import.meta.dir, '..')

/**
 * Copies the native addon of `@node-rs/argon2` for `platform`, or for this machine, to dist/argon2,
 * where package.json's `#argon2` finds it. Throws if there is none.
 */
export function placeAddon(platform: Platform | undefined): void {
  const directory = join(root, 'dist/argon2', platform?.name ?? 'host')
  mkdirSync(directory, { recursive: true })
  const outfile = join(directory, 'argon2.addon')
  const own = platforms.find((one) => (platform === undefined || one === platform) && addonsIn(root, one).length > 0)
  if (own) {
    copyAddon(root, own, outfile)
    return
  }
  if (!platform) throw new Error('node_modules has no addon of @node-rs/argon2 for this machine. Run: bun install')
  const project = mkdtempSync(join(tmpdir(), 'audittrail-addon-'))
  try {
    installFor(platform, project)
    copyAddon(project, platform, outfile)
  } finally {
    rmSync(project, { recursive: true, force: true })
  }
}

/** Installs what bun.lock pins, with its hashes, as on the other platform. */
function installFor({ name, system, architecture }: Platform, project: string): void {
  for (const file of ['package.json', 'bun.lock', 'bunfig.toml']) copyFileSync(join(root, file), join(project, file))
  const flags = ['--frozen-lockfile', '--production', '--ignore-scripts', `--os=${system}`, `--cpu=${architecture}`]
  const libc = name.endsWith('-musl') ? 'musl' : 'glibc'
  const { status, stderr } = spawnSync(process.execPath, ['install', ...flags, `--libc=${libc}`], {
    cwd: project,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`The packages for ${name} could not be installed:\n${stderr}`)
}

function addonsIn(project: string, { addonPackage }: Platform): string[] {
  const directory = join(project, 'node_modules', addonPackage)
  if (!existsSync(directory)) return []
  return [...new Bun.Glob('*.node').scanSync(directory)].map((name) => join(directory, name))
}

function copyAddon(project: string, platform: Platform, outfile: string): void {
  const [addon] = addonsIn(project, platform)
  if (addon === undefined) throw new Error(`${platform.addonPackage} has no addon.`)
  const found = readExecutable(readFileSync(addon))
  if (found?.format !== platform.format || found.architecture !== platform.architecture)
    throw new Error(`The addon in ${platform.addonPackage} is not for ${platform.name}.`)
  copyFileSync(addon, outfile)
}
