import { describe, expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { run, serve } from '../binary/binary.ts'
import { hasNginx } from '../deploy/nginx.ts'
import { createDatabase } from '../postgresql.ts'
import { examples, hasPyJwt, startSite, startUpstream, upstreams } from './upstream.ts'

const docs = join(examples, '../docs')

/** Returns the commands of a page's shell blocks, with continuation lines joined. */
function commandsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, code = '']) =>
    code.trim().split('\n'),
  )
}

const pages = [
  join(docs, 'protect-an-api.md'),
  ...readdirSync(examples).map((name) => join(examples, name, 'README.md')),
]

test.each(pages.flatMap(commandsOf).filter((line) => line.startsWith('audittrail nginx')))(
  '%s is right',
  async (line) => {
    const [, ...args] = line.replace(/ > .*/, '').split(' ')
    const { code, stderr } = await run(args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  },
)

describe.skipIf(!(hasNginx && hasPyJwt))('docs/protect-an-api.md', () => {
  test('works as written', async () => {
    const commands = commandsOf(join(docs, 'protect-an-api.md'))
    const password = /ADMIN_PASSWORD='([^']+)'/.exec(commands[0] ?? '')?.[1] ?? ''
    const environment = { DATABASE_URL: await createDatabase(), SECRET_KEY: 'k'.repeat(32), ADMIN_PASSWORD: password }
    const server = await serve({ environment: { ...environment, TRUSTED_PROXIES: '127.0.0.1' } })
    const upstream = await startUpstream(...upstreams[1], { AUTH: 'nginx' })
    const nginx = await startSite(new URL(server.origin).host, ['--upstream', `/notes=http://${upstream}`])
    const script = commands.filter((line) => /^(curl|TOKEN)/.test(line)).join('\n')
    expect(script).toContain('http://localhost:8080/')
    const shell = Bun.spawn(['bash', '-c', script.replaceAll('http://localhost:8080', nginx.origin)], {
      stderr: 'ignore',
    })
    const output = await new Response(shell.stdout).text()
    await nginx.stop()
    await server.stop()
    expect(output).toStartWith('HTTP/1.1 401')
    expect(output).toEndWith('{"username": "admin", "roles": ["admin"], "notes": ["milk"]}')
  })
})
