import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { run } from '../binary/binary.ts'
import { type Nginx, startNginxSite } from '../deploy/nginx.ts'
import { atEndOfFile, temporaryDirectory } from '../endOfFile.ts'
import { freePort } from '../postgresqlServer.ts'
import { hasProgram } from '../requirements.ts'

export const examples = join(import.meta.dir, '../../examples')

// Debian's packages work only with Debian's Python, not with another one on PATH.
const packages = '/usr/lib/python3/dist-packages'
export const hasPyJwt =
  hasProgram(`${packages}/jwt`, 'python3-jwt') && hasProgram(`${packages}/cryptography`, 'python3-cryptography')

export const upstreams = [
  ['upstream-bun', [process.execPath, 'server.ts']],
  ['upstream-python', ['/usr/bin/python3', '-B', 'server.py']],
] as const

/** Starts an example as its README says, on a free port. Returns `127.0.0.1:PORT`. */
export function startUpstream(
  name: string,
  [file, ...args]: readonly [string, ...string[]],
  environment: Record<string, string>,
): Promise<string> {
  const child = spawn(file, args, {
    cwd: join(examples, name),
    env: { PATH: process.env.PATH ?? '', PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  atEndOfFile(() => child.kill('SIGKILL'))
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let output = ''
  const look = (chunk: Buffer) => {
    output += chunk
    const host = /(?:listening|running) on http:\/\/([^/\s]+)/.exec(output)?.[1]
    if (host) resolve(host.replace('localhost', '127.0.0.1'))
  }
  child.stdout.on('data', look)
  child.stderr.on('data', look)
  child.once('exit', () => reject(new Error(`${name} ended: ${output}`)))
  return promise
}

/** Starts real Nginx with the output of `audittrail nginx`. */
export async function startSite(service: string, args: readonly string[]): Promise<Nginx> {
  const port = await freePort()
  const place = ['--server-name', 'localhost', '--listen', `127.0.0.1:${port}`, '--service', service]
  const { code, stdout, stderr } = await run(['nginx', ...place, ...args])
  if (code !== 0) throw new Error(stderr)
  const directory = temporaryDirectory('site')
  return startNginxSite(stdout.replace('proxy_cache_path /run/', `proxy_cache_path ${directory}/`), port)
}
