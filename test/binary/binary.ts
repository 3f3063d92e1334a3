import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { atEndOfFile, temporaryDirectory } from '../endOfFile.ts'

/** The executable that `bun run build` creates. */
export const binary = join(import.meta.dir, '../../dist/audittrail')
if (!existsSync(binary))
  throw new Error('dist/audittrail does not exist. Run "bun run build" first, or "bun run test".')

/** Creates an empty directory to start a process in. */
export function emptyDirectory(): string {
  return temporaryDirectory('binary')
}

export interface Finished {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly process: ChildProcess
  readonly directory: string
  /** The output so far. */
  readonly output: { stdout: string; stderr: string }
  readonly finished: Promise<Finished>
}

export interface Start {
  readonly args?: readonly string[]
  /** The whole environment besides PATH. */
  readonly environment?: Readonly<Record<string, string>>
  readonly directory?: string
  /** A command that the binary is passed to, such as `sh -c …`. */
  readonly command?: readonly string[]
  /** Contents of standard input. */
  readonly input?: string
}

/** Starts the binary, by default in an empty directory without an environment. */
export function start({
  args = [],
  environment = {},
  directory = emptyDirectory(),
  command = [],
  input = '',
}: Start = {}): Running {
  const [file = '', ...rest] = [...command, binary, ...args]
  const child = spawn(file, rest, {
    cwd: directory,
    env: { PATH: process.env.PATH ?? '', ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  atEndOfFile(() => child.kill('SIGKILL'))
  child.stdin?.on('error', () => {})
  child.stdin?.end(input)
  const output = { stdout: '', stderr: '' }
  child.stdout?.on('data', (chunk) => {
    output.stdout += chunk
  })
  child.stderr?.on('data', (chunk) => {
    output.stderr += chunk
  })
  const { promise: finished, resolve, reject } = Promise.withResolvers<Finished>()
  child.once('error', reject)
  child.once('close', (code, signal) => resolve({ code, signal, ...output }))
  return { process: child, directory, output, finished }
}

/** Runs the binary until it exits. */
export function run(args: readonly string[], options: Omit<Start, 'args'> = {}): Promise<Finished> {
  return start({ ...options, args }).finished
}

export interface Server extends Running {
  /** Origin and base path: `http://127.0.0.1:PORT/api`. */
  readonly url: string
  readonly origin: string
  stop(signal?: NodeJS.Signals): Promise<Finished>
}

/** A free port, and no grace period, since there is no load balancer. */
const defaults = { HOST: '127.0.0.1', PORT: '0', SHUTDOWN_GRACE_SECONDS: '0' }

/** Starts a server and waits until it is ready. Throws with its output if it exits instead. */
export async function serve({ environment = {}, ...rest }: Start = {}): Promise<Server> {
  const running = start({ ...rest, environment: { ...defaults, ...environment } })
  const url = await untilReady(running)
  const origin = new URL(url).origin
  return {
    ...running,
    url,
    origin,
    stop: (signal = 'SIGTERM') => {
      running.process.kill(signal)
      return running.finished
    },
  }
}

/** Resolves with the URL in the event `server.ready`. */
export function untilReady({ process: child, output, finished }: Running): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const check = () => {
    const ready = output.stdout.split('\n').find((line) => line.includes('server.ready'))
    const url = ready && /http:\/\/[^"\s]+/.exec(ready)?.[0]
    if (url) resolve(url.replace('0.0.0.0', '127.0.0.1'))
  }
  child.stdout?.on('data', check)
  finished.then(
    ({ code, stdout, stderr }) => reject(new Error(`exited with ${code} before it was ready:\n${stdout}${stderr}`)),
    reject,
  )
  return promise
}

export function login(url: string, username = 'admin', password = 'changeme'): Promise<Response> {
  return fetch(`${url}/auth/login`, { method: 'POST', body: new URLSearchParams({ username, password }) })
}

export async function accessToken(url: string, username?: string, password?: string): Promise<string> {
  const response = await login(url, username, password)
  const { access_token: token } = (await response.json()) as { access_token?: string }
  if (!token) throw new Error(`login returned ${response.status}`)
  return token
}

export function me(url: string, token: string): Promise<Response> {
  return fetch(`${url}/auth/me`, { headers: { authorization: `Bearer ${token}` } })
}
