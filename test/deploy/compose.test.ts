import { describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { settings } from '../../src/config/settings.ts'
import { run } from '../binary/binary.ts'
import { temporaryDirectory } from '../endOfFile.ts'

const repository = join(import.meta.dir, '../..')

interface Service {
  readonly image: string
  readonly build?: { readonly context: string; readonly dockerfile: string }
  readonly environment?: Readonly<Record<string, string | null>>
  readonly volumes?: readonly string[]
  readonly ports?: readonly string[]
  readonly networks?: readonly string[]
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly [other: string]: unknown
}

interface Compose {
  readonly services: Readonly<Record<'secrets' | 'db' | 'api' | 'nginx', Service>>
  readonly networks: { readonly audittrail: { readonly ipam: { readonly config: readonly { subnet: string }[] } } }
  readonly volumes: Readonly<Record<string, unknown>>
}

const compose = Bun.YAML.parse(readFileSync(join(repository, 'docker-compose.yml'), 'utf8')) as Compose
const { secrets, db, api, nginx } = compose.services

describe('docker-compose.yml', () => {
  test('starts secrets, database, service and Nginx in order, each once the previous one is ready', () => {
    expect(Object.keys(compose.services)).toEqual(['secrets', 'db', 'api', 'nginx'])
    expect(db.depends_on).toEqual({ secrets: { condition: 'service_completed_successfully' } })
    expect(api.depends_on).toEqual({ db: { condition: 'service_healthy' } })
    expect(nginx.depends_on).toMatchObject({ api: { condition: 'service_healthy' } })
  })

  test('publishes only port 80 of Nginx', () => {
    expect(nginx.ports).toEqual([`\${HTTP_PORT:-80}:80`])
    for (const service of [secrets, db, api]) expect(service.ports).toBeUndefined()
    expect(readFileSync(join(repository, 'deploy/nginx.conf'), 'utf8')).toMatch(/^ {4}listen 80;$/m)
  })

  test('trusts the network of its services', () => {
    const [network] = compose.networks.audittrail.ipam.config
    expect(api.environment?.TRUSTED_PROXIES).toBe(network?.subnet ?? '')
    expect(network?.subnet).toMatch(/^\$\{SUBNET:-10(\.\d+){3}\/24\}$/)
    for (const service of [db, api, nginx]) expect(service.networks).toEqual(['audittrail'])
    expect(secrets.network_mode).toBe('none')
  })

  test('mounts and builds only files that exist', () => {
    const mounts = Object.values(compose.services).flatMap(({ volumes = [] }) => volumes.map((line) => line.split(':')))
    for (const [source = ''] of mounts) {
      if (source.startsWith('./')) expect(statSync(join(repository, source)).isFile()).toBe(true)
      else expect(Object.keys(compose.volumes)).toContain(source)
    }
    expect(nginx.volumes).toEqual(['./deploy/nginx.conf:/etc/nginx/nginx.conf:ro'])
    expect(existsSync(join(repository, api.build?.context ?? '', api.build?.dockerfile ?? ''))).toBe(true)
  })

  test('sets only settings that exist', () => {
    const known: string[] = Object.values(settings).flatMap(({ env }) => [env, `${env}_FILE`])
    expect(Object.keys(api.environment ?? {}).filter((name) => !known.includes(name))).toEqual([])
  })

  test('passes on every setting by its bare name, except those it sets and those that Nginx depends on', () => {
    const fixed = ['DATABASE_URL', 'DATA_DIR', 'HOST', 'PORT', 'BASE_PATH', 'SECRET_KEY', 'TRUSTED_PROXIES']
    const passed = Object.entries(api.environment ?? {}).filter(([, value]) => value === null)
    const settable: string[] = Object.values(settings).map(({ env }) => env)
    expect(passed.map(([name]) => name).sort()).toEqual(settable.filter((env) => !fixed.includes(env)).sort())
    expect(secrets.environment).toEqual({ SECRET_KEY: null, POSTGRES_PASSWORD: null })
    // A secret that Compose interpolates would lose what follows a dollar sign.
    expect(JSON.stringify(compose)).not.toMatch(/\$\{\w*(KEY|PASSWORD)/)
  })

  test('names the oldest Compose that it needs', () => {
    for (const file of ['docker-compose.yml', 'docs/install.md'])
      expect(readFileSync(join(repository, file), 'utf8')).toContain('Compose v2.20+')
  })

  test('confines the service', () => {
    expect(api).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      tmpfs: ['/tmp'],
      mem_limit: '256m',
      stop_grace_period: '15s',
    })
  })

  const hasCompose = spawnSync('docker', ['compose', 'version']).status === 0
  if (!hasCompose) console.log('docker compose is not here: docker-compose.yml was parsed, but not by its own program')
  test('is valid for docker compose, where it is installed', () => {
    if (!hasCompose) return
    const { status, stderr } = spawnSync('docker', ['compose', 'config', '--quiet'], { cwd: repository })
    expect({ status, stderr: String(stderr) }).toEqual({ status: 0, stderr: '' })
  })
})

describe('deploy/secrets.sh', () => {
  const owner = `${process.getuid?.()}:${process.getgid?.()}`
  const files = ['database-url', 'postgres-password', 'secret-key'] as const

  function makeSecrets(directory: string, environment: Record<string, string> = {}) {
    const { status, stderr } = spawnSync('sh', [join(repository, 'deploy/secrets.sh')], {
      env: { PATH: process.env.PATH, SECRETS_DIR: directory, API_USER: owner, ...environment },
      encoding: 'utf8',
    })
    const read = (file: string) => readFileSync(join(directory, file), 'utf8')
    return { status, stderr, contents: () => Object.fromEntries(files.map((file) => [file, read(file)])) }
  }
  const emptyDirectory = () => temporaryDirectory('secrets')

  test('creates each secret once, readable only by its consumer', () => {
    const directory = emptyDirectory()
    const first = makeSecrets(directory)
    expect(first).toMatchObject({ status: 0, stderr: '' })
    expect(readdirSync(directory).sort()).toEqual([...files])
    for (const file of files) expect(statSync(join(directory, file)).mode & 0o777).toBe(0o400)
    const made = first.contents()
    expect(made['secret-key']).toMatch(/^[0-9a-f]{64}$/)
    expect(made['postgres-password']).toMatch(/^[0-9a-f]{64}$/)
    expect(made['secret-key']).not.toBe(made['postgres-password'])
    expect(makeSecrets(directory).contents()).toEqual(made)
    expect(makeSecrets(emptyDirectory()).contents()).not.toEqual(made)
  })

  test('keeps secrets that are given', () => {
    const directory = emptyDirectory()
    makeSecrets(directory)
    const given = { SECRET_KEY: 'k'.repeat(32), POSTGRES_PASSWORD: 'given' }
    expect(makeSecrets(directory, given).contents()).toEqual({
      'secret-key': 'k'.repeat(32),
      'postgres-password': 'given',
      'database-url': 'postgresql://audittrail:given@db:5432/audittrail',
    })
  })

  test('rejects a password that would break the URL and changes nothing', () => {
    const directory = emptyDirectory()
    const refused = makeSecrets(directory, { POSTGRES_PASSWORD: 'p@ss/word' })
    expect(refused.status).toBe(1)
    expect(refused.stderr).toStartWith('POSTGRES_PASSWORD becomes part of a URL')
    expect(readdirSync(directory)).toEqual([])
  })

  test('creates secrets that the service accepts', async () => {
    const directory = emptyDirectory()
    makeSecrets(directory)
    const environment = {
      DATABASE_URL_FILE: join(directory, 'database-url'),
      SECRET_KEY_FILE: join(directory, 'secret-key'),
    }
    const { code, stdout } = await run(['config'], { environment })
    expect(code).toBe(0)
    expect(stdout).toContain('DATABASE_URL=(set)')
    expect(stdout).toContain('SECRET_KEY=(set)')
  })
})
