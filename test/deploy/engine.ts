import { spawn, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { atEndOfFile, temporaryDirectory } from '../endOfFile.ts'
import { hasProgram } from '../requirements.ts'

/** Whether a Docker engine can be started: its programs exist and the tests run as root. */
export const hasEngine = [
  hasProgram('dockerd', 'docker.io'),
  hasProgram('docker', 'docker.io or docker-cli'),
  isRoot(),
].every(Boolean)

function isRoot(): boolean {
  if (process.getuid?.() === 0) return true
  if (process.env.CI === 'true') throw new Error('a Docker engine can be started by root alone')
  console.log('skipped: a Docker engine can be started by root alone')
  return false
}

export interface Engine {
  /** Runs `docker …` and returns its stdout. Throws with all of its output if it fails. */
  docker(...args: string[]): string
  stop(): Promise<void>
}

/**
 * A Docker engine for these tests only, in a temporary directory, so that its images hide no
 * others. It leaves the machine's network alone: its containers use the host network.
 */
export async function startEngine(): Promise<Engine> {
  const directory = temporaryDirectory('engine')
  const host = `unix://${directory}/socket`
  const args = ['--data-root', `${directory}/data`, '--exec-root', `${directory}/exec`, '--pidfile', `${directory}/pid`]
  // Without a bridge setting, an engine removes docker0, which may belong to another engine.
  const bridge = existsSync('/sys/class/net/docker0') ? [] : ['--bridge', 'none']
  const offTheNetwork = [...bridge, '--iptables=false', '--ip6tables=false', '--ip-forward=false']
  const daemon = spawn('dockerd', ['--host', host, ...args, ...offTheNetwork], { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  daemon.stderr.on('data', (chunk) => {
    log = `${log}${chunk}`.slice(-4000)
  })
  const ended = new Promise<void>((resolve) => daemon.once('exit', () => resolve()))
  const kill = () => daemon.kill('SIGTERM')
  const keep = atEndOfFile(kill)

  const call = (args: readonly string[]) =>
    spawnSync('docker', ['--host', host, ...args], {
      // The classic builder that every engine has.
      env: { ...process.env, DOCKER_BUILDKIT: '0', DOCKER_CONFIG: directory, DOCKER_CONTEXT: undefined },
      encoding: 'utf8',
    })
  for (let attempt = 0; call(['version']).status !== 0; attempt++) {
    if (daemon.exitCode !== null || attempt > 150) throw new Error(`the Docker engine did not start:\n${log}`)
    await Bun.sleep(200)
  }
  const docker: Engine['docker'] = (...args) => {
    const { status, stdout, stderr } = call(args)
    if (status !== 0) throw new Error(`docker ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`)
    return stdout.trim()
  }
  return {
    docker,
    stop: async () => {
      for (const id of docker('ps', '--all', '--quiet').split('\n').filter(Boolean))
        docker('rm', '--force', '--volumes', id)
      keep()
      kill()
      await ended
      // The engine leaves this one mounted.
      spawnSync('umount', [`${directory}/exec/netns/default`])
      // If the engine's mounts linger, the directory is left for the system to clean up.
      try {
        rmSync(directory, { recursive: true, maxRetries: 3, retryDelay: 200, force: true })
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error
      }
    },
  }
}

/**
 * Builds the base images of deploy/Dockerfile from files of this machine, since nothing can be
 * pulled: glibc and libgcc for the runtime image, plus Bun and a shell for the build image.
 */
export function makeBaseImages({ docker }: Engine, binary: string): void {
  const addon = join(import.meta.dir, '../../dist/argon2/host/argon2.addon')
  importImage(docker, 'debian:13-slim', [...new Set([binary, addon].flatMap(librariesOf))])
  const bun = process.execPath
  const shell = ['/bin/sh', '/bin/mkdir'].flatMap((program) => [program, ...librariesOf(program)])
  const certificates = ['/etc/ssl/certs/ca-certificates.crt'].filter((path) => existsSync(path))
  importImage(docker, 'oven/bun:1.4.5', [...shell, ...librariesOf(bun), ...certificates], [[bun, '/usr/bin/bun']], {
    PATH: '/usr/bin:/bin',
    ...Object.fromEntries(certificates.map((path) => ['NODE_EXTRA_CA_CERTS', path])),
  })
}

function importImage(
  docker: Engine['docker'],
  name: string,
  files: readonly string[],
  renamed: readonly (readonly [string, string])[] = [],
  environment: Readonly<Record<string, string>> = {},
): void {
  const root = temporaryDirectory('image')
  for (const [from, to] of [...files.map((file) => [file, file] as const), ...renamed]) {
    mkdirSync(join(root, dirname(to)), { recursive: true })
    cpSync(from, join(root, to), { dereference: true })
  }
  mkdirSync(join(root, 'tmp'), { recursive: true, mode: 0o1777 })
  const archive = `${root}.tar`
  spawnSync('tar', ['-C', root, '-cf', archive, '.'])
  const changes = Object.entries(environment).flatMap(([key, value]) => ['--change', `ENV ${key}=${value}`])
  docker('import', ...changes, archive, name)
  for (const path of [root, archive]) rmSync(path, { recursive: true })
}

/** The shared libraries of an executable, including its loader. */
function librariesOf(executable: string): string[] {
  const { stdout } = spawnSync('ldd', [executable], { encoding: 'utf8' })
  return [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path)
}

/** A line of /proc/PID/status, as the host sees it. */
export function statusOf(pid: string, name: string): string {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8')
    .split('\n')
    .find((candidate) => candidate.startsWith(`${name}:`))
  return line?.split(/\s+/).slice(1).join(' ') ?? ''
}
