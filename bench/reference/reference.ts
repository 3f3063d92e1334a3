import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { root, runJson, type Started, start } from '../machine/process.ts'
import { password } from '../options.ts'

export const reference = join(root, 'dist/bench/reference')

/** Compiles the reference server with the flags of the service. */
export async function buildReference(): Promise<void> {
  mkdirSync(join(root, 'dist/bench'), { recursive: true })
  const flags = [
    '--compile',
    '--minify',
    '--bytecode',
    '--format=esm',
    '--no-compile-autoload-bunfig',
    '--no-compile-autoload-dotenv',
  ]
  const source = 'bench/reference/server.ts'
  const child = Bun.spawn([process.execPath, 'build', ...flags, source, `--outfile=${reference}`], {
    cwd: root,
    stdout: 'ignore',
  })
  if ((await child.exited) !== 0) throw new Error(`${source} does not compile.`)
}

export function startReference(mode: 'hello' | 'select' | 'update', databaseUrl = ''): Promise<Started> {
  return start({ file: reference, args: [mode], environment: { DATABASE_URL: databaseUrl } })
}

/**
 * Returns the rate of native argon2 alone, with that many verifications at once. At the priority of
 * the service's hash threads, so that other programs slow both down.
 */
export function verifyNatively(hash: string, clients: number, seconds: number): Promise<{ perSecond: number }> {
  const command = [
    'nice',
    '-n',
    '19',
    process.execPath,
    join(import.meta.dir, 'argon2.ts'),
    String(clients),
    String(seconds),
  ]
  return runJson(command, { HASH: hash, PASSWORD: password })
}
