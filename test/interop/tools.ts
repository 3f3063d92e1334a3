import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

/** With `INTEROP=long`: more sizes, proofs and changed bits. */
export const isLong = process.env.INTEROP === 'long'

export const programs = join(import.meta.dir, '../../dist/interop')
const published = [
  'github.com/transparency-dev/tessera/cmd/fsck@v1.0.4',
  'filippo.io/torchwood/cmd/spicy@v0.9.0',
  'filippo.io/torchwood/cmd/litewitness@v0.9.0',
]

/** Builds the programs that verify logs. Throws without Go. */
export async function buildTools(): Promise<void> {
  mkdirSync(programs, { recursive: true })
  const environment = { GOBIN: programs, GOTOOLCHAIN: 'local' }
  for (const name of published) await requireSuccess('go', ['install', name], environment)
  await requireSuccess('go', ['build', '-o', join(programs, 'client'), '.'], environment)
}

async function requireSuccess(program: string, args: readonly string[], environment: Record<string, string>) {
  const { code, output } = await run(program, args, environment)
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} failed. It needs Go 1.24 or later:\n${output}`)
}

interface Result {
  readonly code: number | null
  readonly output: string
}

function run(program: string, args: readonly string[], environment: Record<string, string> = {}): Promise<Result> {
  const { promise, resolve } = Promise.withResolvers<Result>()
  const child = spawn(program, args, {
    cwd: import.meta.dir,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 400_000,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      output += chunk
    })
  child.once('error', (error) => resolve({ code: null, output: String(error) }))
  child.once('close', (code) => resolve({ code, output }))
  return promise
}

/**
 * Returns what `fsck` found wrong with a log; empty if nothing. Its exit code is 0 in any case, and
 * with one worker it may hang.
 */
export async function fsck(url: string, vkeyFile: string, token = ''): Promise<string> {
  const { output } = await run(join(programs, 'fsck'), [
    `--storage_url=${url}`,
    `--public_key=${vkeyFile}`,
    ...(token === '' ? [] : [`--bearer_token=${token}`]),
    '--N=8',
    '--ui=false',
  ])
  return output.includes("Successfully fsck'd") ? '' : output
}

/** Runs a command of `main.go`. Returns its output, or throws with its error. */
export async function client(...args: readonly string[]): Promise<string> {
  const { code, output } = await run(join(programs, 'client'), args)
  if (code !== 0) throw new Error(output)
  return output.trimEnd()
}

/** Returns what `spicy` found wrong with an event; empty if nothing. */
export async function spicy(vkey: string, event: string): Promise<string> {
  const { code, output } = await run(join(programs, 'spicy'), ['-verify', vkey, event])
  return code === 0 ? '' : output
}
