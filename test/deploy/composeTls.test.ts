import { describe, expect, test } from 'bun:test'
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { serve } from '../binary/binary.ts'
import { temporaryDirectory } from '../endOfFile.ts'
import { freePort } from '../postgresqlServer.ts'
import { hasProgram } from '../requirements.ts'
import { faultOf, hasNginx } from './nginx.ts'

const repository = join(import.meta.dir, '../..')
const script = join(repository, 'deploy/nginx-tls.sh')
const hasOpenssl = hasProgram('openssl', 'openssl')

/** Runs the script without its last step. Nginx gets ports and paths of this machine. */
function makeConfiguration(directory: string, { http, https, upstream }: Record<string, number>) {
  const programs = join(directory, 'programs')
  mkdirSync(programs, { recursive: true })
  writeFileSync(join(programs, 'nginx'), '#!/bin/sh\necho "$@"\n')
  chmodSync(join(programs, 'nginx'), 0o755)
  const target = join(directory, 'nginx.conf')
  const { status, stdout, stderr } = spawnSync('sh', [script], {
    encoding: 'utf8',
    env: {
      PATH: `${programs}:${process.env.PATH}`,
      NGINX_CONF: join(repository, 'deploy/nginx.conf'),
      NGINX_TLS_CONF: target,
      NGINX_CERTIFICATES: join(directory, 'tls'),
    },
  })
  if (status !== 0) return { status, stdout, stderr, target }
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/${name};`)
    .join(' ')
  const text = readFileSync(target, 'utf8')
    .replace('listen 443 ssl;', `listen 127.0.0.1:${https} ssl;`)
    .replace('    listen 80;', `    listen 127.0.0.1:${http};`)
    .replace('server api:8000 ', `server 127.0.0.1:${upstream} `)
    .replaceAll('/etc/nginx/tls', join(directory, 'tls'))
    .replace('access_log /var/log/nginx/access.log requests;', `access_log off; ${temporary}`)
  writeFileSync(target, text)
  return { status, stdout, stderr, target }
}

function makeCertificate(directory: string): void {
  mkdirSync(join(directory, 'tls'))
  const files = ['-keyout', join(directory, 'tls/privkey.pem'), '-out', join(directory, 'tls/fullchain.pem')]
  const { status, stderr } = spawnSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/CN=localhost',
      ...files,
    ],
    { encoding: 'utf8' },
  )
  if (status !== 0) throw new Error(stderr)
}

function publicDirectory(): string {
  const directory = temporaryDirectory('tls')
  chmodSync(directory, 0o755)
  return directory
}

describe('deploy/docker-compose.tls.yml', () => {
  const override = Bun.YAML.parse(readFileSync(join(repository, 'deploy/docker-compose.tls.yml'), 'utf8')) as {
    services: { nginx: { volumes: string[]; ports: string[]; entrypoint: string[] } }
  }

  test('adds only the certificate, the port and the script to Nginx', () => {
    expect(Object.keys(override)).toEqual(['services'])
    expect(override.services).toEqual({
      nginx: {
        entrypoint: ['sh', '/nginx-tls.sh'],
        volumes: ['./deploy/nginx-tls.sh:/nginx-tls.sh:ro', '${' + 'TLS_DIR:-./tls}:/etc/nginx/tls:ro'],
        ports: ['${' + 'HTTPS_PORT:-443}:443'],
      },
    })
    expect(existsSync(script)).toBe(true)
  })
})

describe('deploy/nginx-tls.sh', () => {
  test('names the missing certificate', () => {
    const { status, stderr } = makeConfiguration(publicDirectory(), {})
    expect(status).toBe(1)
    expect(stderr).toStartWith('fullchain.pem is missing')
  })

  test.skipIf(!(hasNginx && hasOpenssl))('serves HTTPS with HSTS, and redirects HTTP to it', async () => {
    const directory = publicDirectory()
    makeCertificate(directory)
    const [http, https] = [await freePort(), await freePort()]
    const server = await serve({ environment: { TRUSTED_PROXIES: '127.0.0.1' } })
    const { stdout, target } = makeConfiguration(directory, { http, https, upstream: Number(new URL(server.url).port) })
    expect(stdout.trim()).toBe(`-c ${target} -g daemon off;`)
    expect(faultOf(target)).toBeUndefined()
    const nginx = spawn('nginx', [
      '-c',
      target,
      '-e',
      `${directory}/error.log`,
      '-g',
      `daemon off; pid ${directory}/pid;`,
    ])
    const ended = new Promise((resolve) => nginx.once('exit', resolve))
    const url = `https://127.0.0.1:${https}/api/health`
    const call = () => fetch(url, { tls: { rejectUnauthorized: false } }).catch(() => undefined)
    let response = await call()
    for (let attempt = 0; attempt < 200 && !response; attempt++) {
      await Bun.sleep(25)
      response = await call()
    }
    expect(response?.status).toBe(200)
    expect(response?.headers.get('strict-transport-security')).toStartWith('max-age=31536000')
    const plain = await fetch(`http://127.0.0.1:${http}/api/health`, { redirect: 'manual' })
    expect({ status: plain.status, location: plain.headers.get('location') }).toEqual({
      status: 301,
      location: 'https://127.0.0.1/api/health',
    })
    nginx.kill('SIGTERM')
    await ended
    await server.stop()
  })
})
