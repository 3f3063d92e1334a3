import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atEndOfFile, temporaryDirectory } from '../endOfFile.ts'
import { freePort } from '../postgresqlServer.ts'
import { hasProgram } from '../requirements.ts'

export const hasNginx = hasProgram('nginx', 'nginx-light')

/** A text of a shipped file and its replacement. It must occur exactly once. */
export type Change = readonly [shipped: string, changed: string]

export interface Nginx {
  readonly origin: string
  readonly url: string
  /** The lines of its access log. */
  requests(): string[]
  stop(): Promise<void>
}

/** The parts of a shipped file that depend on the machine: port, paths, the service's address. */
function changesOf(directory: string, port: number, upstream: string): Change[] {
  return [
    ['    listen 80;\n\n', `    listen 127.0.0.1:${port};\n\n`],
    ['    server api:8000 ', `    server ${upstream} `],
    [
      'access_log /var/log/nginx/access.log requests;',
      `access_log ${directory}/access.log requests; ${temporaryPaths(directory)}`,
    ],
  ]
}

function temporaryPaths(directory: string): string {
  return ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/${name};`)
    .join(' ')
}

/** Writes a changed copy of a shipped configuration to its own directory. */
export function writeConfiguration(file: string, changes: readonly Change[], directory = emptyDirectory()): string {
  let text = readFileSync(join(import.meta.dir, '../../deploy', file), 'utf8')
  for (const [shipped, changed] of changes) {
    const times = text.split(shipped).length - 1
    if (times !== 1) throw new Error(`deploy/${file} has ${JSON.stringify(shipped)} ${times} times, not once`)
    text = text.replace(shipped, () => changed)
  }
  const path = join(directory, 'nginx.conf')
  writeFileSync(path, text)
  return path
}

/** Runs `nginx -t`. Returns undefined if it passes without a warning, else its output. */
export function faultOf(configuration: string): string | undefined {
  const { status, stderr } = spawnSync('nginx', ['-t', '-c', configuration, '-g', `pid ${configuration}.pid;`], {
    encoding: 'utf8',
  })
  return status === 0 && !/\[(warn|error|crit|alert|emerg)\]/.test(stderr) ? undefined : stderr
}

/**
 * Starts real Nginx from a shipped file in front of the service at `upstream` (`127.0.0.1:PORT`).
 */
export async function startNginx(file: string, upstream: string, changes: readonly Change[] = []): Promise<Nginx> {
  const directory = emptyDirectory()
  const port = await freePort()
  writeConfiguration(file, [...changesOf(directory, port, upstream), ...changes], directory)
  return run(directory, port)
}

/** Starts real Nginx with a file for conf.d, listening on 127.0.0.1 and `port`. */
export function startNginxSite(site: string, port: number): Promise<Nginx> {
  const directory = emptyDirectory()
  writeSite(site, directory)
  return run(directory, port)
}

/** The smallest configuration that includes a file for conf.d. */
export function writeSite(site: string, directory = emptyDirectory()): string {
  const path = join(directory, 'nginx.conf')
  writeFileSync(join(directory, 'site.conf'), site)
  writeFileSync(
    path,
    `events {}\nhttp {\n  include /etc/nginx/mime.types;\n  access_log ${directory}/access.log;\n  ${temporaryPaths(directory)}\n  include ${directory}/site.conf;\n}\n`,
  )
  return path
}

async function run(directory: string, port: number): Promise<Nginx> {
  const configuration = join(directory, 'nginx.conf')
  const fault = faultOf(configuration)
  if (fault) throw new Error(fault)
  const child = spawn(
    'nginx',
    ['-c', configuration, '-e', `${directory}/error.log`, '-g', `daemon off; pid ${directory}/pid;`],
    {
      stdio: 'ignore',
    },
  )
  const keep = atEndOfFile(() => child.kill('SIGTERM'))
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const origin = `http://127.0.0.1:${port}`
  await untilItListens(origin)
  return {
    origin,
    url: `${origin}/api`,
    requests: () => readFileSync(join(directory, 'access.log'), 'utf8').trim().split('\n'),
    stop: async () => {
      keep()
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** Nginx started as root runs workers as another user, who needs access. */
function emptyDirectory(): string {
  const directory = temporaryDirectory('nginx')
  chmodSync(directory, 0o755)
  return directory
}

async function untilItListens(origin: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    try {
      await fetch(origin)
      return
    } catch {
      await Bun.sleep(25)
    }
  }
  throw new Error('Nginx did not start within 5 s')
}
