import { placeAddon } from './argon2.ts'
import type { Platform } from './platforms.ts'

const root = `${import.meta.dir}/..`
/**
 * Written by `recordOrder.ts`. One of an older version still applies, to the functions that are the
 * same.
 */
export const bytecodeOrder = `${import.meta.dir}/bytecodeOrder.txt`

export interface Compiled {
  readonly code: number
  /** What Bun printed; empty with `inherit`. */
  readonly output: string
}

/**
 * Builds the embedded assets: the embedded database, the docs page, the pages, the common
 * passwords, and this machine's argon2 addon, which the tests use too.
 */
export async function makeAssets(): Promise<Compiled> {
  placeAddon(undefined)
  for (const step of ['deploy/embedded.ts', 'deploy/docs.ts', 'deploy/pages.ts']) {
    const built = await runBun([step], 'inherit')
    if (built.code !== 0) return built
  }
  return runBun(['deploy/commonPasswords.ts'], 'inherit')
}

/**
 * Compiles the program and its worker into one file, for `platform` or for this machine.
 * The result ignores bunfig.toml and .env in its working directory.
 */
export async function compile(
  platform: Platform | undefined,
  outfile: string,
  output: 'inherit' | 'pipe' = 'inherit',
): Promise<Compiled> {
  if (platform) placeAddon(platform)
  const args = [
    'build',
    '--compile',
    '--minify',
    // Chunks: `serve` listens before it loads the rest.
    '--splitting',
    ...(supportsBytecode(platform) ? ['--bytecode', `--bytecode-order=${bytecodeOrder}`] : []),
    '--format=esm',
    '--no-compile-autoload-bunfig',
    '--no-compile-autoload-dotenv',
    ...(platform ? [`--target=bun-${platform.name}`, `--conditions=${platform.name}`] : []),
    'src/main.ts',
    'src/db/embedded/worker.ts',
    `--outfile=${outfile}`,
  ]
  return runBun(args, output)
}

/**
 * Bytecode saves 50 ms at startup. Made on Linux, it works on Linux with another architecture and C
 * library, but has crashed on other operating systems (oven-sh/bun#18416).
 */
function supportsBytecode(platform: Platform | undefined): boolean {
  return platform === undefined || platform.system === process.platform
}

async function runBun(args: readonly string[], output: 'inherit' | 'pipe'): Promise<Compiled> {
  const child = Bun.spawn([process.execPath, ...args], { cwd: root, stdio: ['ignore', output, output] })
  const text = (stream: ReadableStream<Uint8Array> | undefined) => (stream ? new Response(stream).text() : '')
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), child.exited])
  return { code, output: `${stdout}${stderr}` }
}
