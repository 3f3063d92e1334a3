import { mkdirSync } from 'node:fs'

/**
 * Builds dist/audittrail: everything in one executable, for this machine or for `--target=bun-linux-arm64` and the like.
 * Neither a bunfig.toml nor a .env of the directory it is started in has any effect on it.
 */
const target = process.argv.find((argument) => argument.startsWith('--target='))
const outfile = process.argv.find((argument) => argument.startsWith('--outfile='))?.slice('--outfile='.length)
const root = `${import.meta.dir}/..`

mkdirSync(`${root}/dist`, { recursive: true })
await run(['deploy/embedded.ts'])
await run(['deploy/docs.ts'])
await run(['deploy/commonPasswords.ts'])
await run([
  'build',
  '--compile',
  '--minify',
  '--bytecode',
  '--format=esm',
  '--no-compile-autoload-bunfig',
  '--no-compile-autoload-dotenv',
  ...(target ? [target] : []),
  'src/main.ts',
  'src/db/embeddedWorker.ts',
  `--outfile=${outfile ?? 'dist/audittrail'}`,
])

async function run(args: string[]): Promise<void> {
  const child = Bun.spawn([process.execPath, ...args], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  if ((await child.exited) !== 0) process.exit(1)
}
