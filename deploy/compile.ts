import type { Platform } from './platforms.ts'

const root = `${import.meta.dir}/..`

export interface Compiled {
  readonly code: number
  /** What Bun printed, unless it went to this process's own output. */
  readonly output: string
}

/** Makes what every executable carries beside its code: the embedded database, the docs page, the commonest passwords. */
export async function makeAssets(): Promise<Compiled> {
  for (const step of ['deploy/embedded.ts', 'deploy/docs.ts']) {
    const made = await runBun([step], 'inherit')
    if (made.code !== 0) return made
  }
  return runBun(['deploy/commonPasswords.ts'], 'inherit')
}

/**
 * Compiles the program with its worker thread into one file, for `platform` or for this machine.
 * Neither a bunfig.toml nor a .env of the directory that it is started in has any effect on it.
 */
export function compile(
  platform: Platform | undefined,
  outfile: string,
  output: 'inherit' | 'pipe' = 'inherit',
): Promise<Compiled> {
  const args = [
    'build',
    '--compile',
    '--minify',
    ...(bytecodeFits(platform) ? ['--bytecode'] : []),
    '--format=esm',
    '--no-compile-autoload-bunfig',
    '--no-compile-autoload-dotenv',
    ...(platform ? [`--target=bun-${platform.name}`] : []),
    'src/main.ts',
    'src/db/embedded/worker.ts',
    `--outfile=${outfile}`,
  ]
  return runBun(args, output)
}

/**
 * Bytecode saves 50 ms of start. It is made by the Bun that runs here: from Linux it was seen to run on Linux of the other
 * architecture and C library, while on another operating system it has crashed (oven-sh/bun#18416): not worth 50 ms.
 */
function bytecodeFits(platform: Platform | undefined): boolean {
  return platform === undefined || platform.system === process.platform
}

async function runBun(args: readonly string[], output: 'inherit' | 'pipe'): Promise<Compiled> {
  const child = Bun.spawn([process.execPath, ...args], { cwd: root, stdio: ['ignore', output, output] })
  const text = (stream: ReadableStream<Uint8Array> | undefined) => (stream ? new Response(stream).text() : '')
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), child.exited])
  return { code, output: `${stdout}${stderr}` }
}
