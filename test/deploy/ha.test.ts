import { describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { settings } from '../../src/config/settings.ts'
import { temporaryDirectory } from '../endOfFile.ts'
import { hasProgram } from '../requirements.ts'

const directory = join(import.meta.dir, '../../deploy/ha')
const read = (file: string) => readFileSync(join(directory, file), 'utf8')

interface Service {
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string | null>>
  readonly volumes?: readonly string[]
  readonly networks?: Readonly<Record<string, { readonly ipv4_address?: string; readonly aliases?: readonly string[] }>>
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, unknown>>
}

const compose = Bun.YAML.parse(read('docker-compose.yml')) as Compose
const services = Object.entries(compose.services)

describe('deploy/ha/docker-compose.yml', () => {
  test('mounts only files and volumes that exist, and no state of one process in another', () => {
    const mounts = services.flatMap(([, { volumes = [] }]) => volumes.map((line) => line.split(':')[0] ?? ''))
    for (const source of mounts)
      if (source.startsWith('.')) expect(existsSync(join(directory, source))).toBe(true)
      else expect(Object.keys(compose.volumes)).toContain(source)
    const states = mounts.filter((source) => /^(etcd|node)\d$/.test(source))
    expect(states).toEqual([...new Set(states)])
  })

  test('gives each process the address that run.sh expects', () => {
    // Compose replaces it.
    const network = `\${NETWORK:-10.83.30}`
    for (const [name, { command, environment, networks }] of services) {
      const [role = '', number = ''] = command ?? []
      const prefixes: Record<string, string | null | undefined> = {
        etcd: environment?.ETCDS,
        database: environment?.NODES,
        proxy: environment?.PROXY_LISTEN,
      }
      if (role in prefixes) expect([name, networks?.ha?.ipv4_address]).toEqual([name, `${prefixes[role]}${number}`])
      if (role in prefixes) expect(prefixes[role]).toStartWith(`${network}.`)
    }
  })

  test('runs two replicas under the name that deploy/nginx.conf has, and sets only settings that exist', () => {
    const known: string[] = Object.values(settings).flatMap(({ env }) => [env, `${env}_FILE`])
    const replicas = services.filter(([, { networks }]) => networks?.ha?.aliases?.includes('api'))
    expect(replicas.map(([name]) => name)).toEqual(['api1', 'api2'])
    for (const [, { environment = {} }] of replicas)
      expect(Object.keys(environment).filter((name) => !known.includes(name))).toEqual([])
    expect(read('../nginx.conf')).toContain('server api:8000 ')
    expect(read('../secrets.sh')).toContain('@db:5432/')
  })
})

describe('deploy/ha/patroni.yml', () => {
  test('acknowledges a commit once two nodes have it, and rewinds an old primary', () => {
    expect(Bun.YAML.parse(read('patroni.yml'))).toMatchObject({
      bootstrap: {
        dcs: {
          ttl: 20,
          loop_wait: 2,
          retry_timeout: 4,
          primary_start_timeout: 0,
          synchronous_mode: true,
          postgresql: { use_pg_rewind: true, parameters: { wal_log_hints: 'on' } },
        },
      },
    })
  })
})

describe.skipIf(!hasProgram('haproxy', 'haproxy'))('deploy/ha/haproxy.cfg', () => {
  test('is valid, checks for the primary and closes the connections of a node that is not the primary', () => {
    const addresses = {
      PROXY_LISTEN: '127.0.1.10',
      DATABASE_1: '127.0.1.1',
      DATABASE_2: '127.0.1.2',
      DATABASE_3: '127.0.1.3',
    }
    const env = { PATH: `${process.env.PATH}:/usr/sbin`, ...addresses }
    const { status, stderr } = spawnSync('haproxy', ['-c', '-f', join(directory, 'haproxy.cfg')], {
      env,
      encoding: 'utf8',
    })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(read('haproxy.cfg')).toMatch(/^ {4}option httpchk GET \/primary$/m)
    expect(read('haproxy.cfg')).toMatch(/^ {4}default-server .* on-marked-down shutdown-sessions$/m)
  })
})

describe('deploy/ha/run.sh', () => {
  const run = (...args: string[]) =>
    spawnSync('sh', [join(directory, 'run.sh'), ...args], {
      env: { PATH: process.env.PATH, STATE_DIRECTORY: temporaryDirectory('ha') },
      encoding: 'utf8',
    })

  test('prints its usage without an argument and names the processes that it knows', () => {
    expect(run()).toMatchObject({ status: 2, stdout: expect.stringContaining('run.sh database 1|2|3') })
    expect(run('fly')).toMatchObject({ status: 2, stderr: expect.stringContaining('unknown process "fly"') })
  })

  test('rejects a database without a password', () => {
    const { status, stderr } = run('database', '1')
    expect(status).not.toBe(0)
    expect(stderr).toContain('POSTGRES_PASSWORD')
  })
})
