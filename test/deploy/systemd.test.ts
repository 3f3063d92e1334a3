import { describe, expect, test } from 'bun:test'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { settings } from '../../src/config/settings.ts'
import { binary, type Server, serve } from '../binary/binary.ts'
import { temporaryDirectory } from '../endOfFile.ts'
import { hasProgram } from '../requirements.ts'

const unit = readFileSync(join(import.meta.dir, '../../deploy/audittrail.service'), 'utf8')
const valuesOf = (name: string) => [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value)

describe('deploy/audittrail.service', () => {
  test('leaves the JavaScript and WebAssembly compilers their executable memory', () => {
    expect(valuesOf('MemoryDenyWriteExecute')).toEqual(['no'])
  })

  test('allows it to lower the priority of hashing threads, which @resources forbids', () => {
    const filters = valuesOf('SystemCallFilter')
    expect(filters.at(-2)).toContain('~@privileged @resources')
    expect(filters.at(-1)).toBe('setpriority')
  })

  test('gives the service more time to stop than it needs', () => {
    expect(Number(valuesOf('TimeoutStopSec')[0])).toBeGreaterThan(10)
    expect(valuesOf('KillSignal')).toEqual(['SIGTERM'])
  })

  test('sets only settings that exist', () => {
    const known: string[] = Object.values(settings).map(({ env }) => env)
    const given = valuesOf('Environment').flatMap((line) => line.split(' ').map((pair) => pair.split('=')[0] ?? ''))
    expect(given.length).toBeGreaterThan(0)
    expect(given.filter((name) => !known.includes(name))).toEqual([])
  })

  test('waits for readiness after the start, for 60 seconds at most, without failing the start', async () => {
    const [after = ''] = valuesOf('ExecStartPost')
    expect(after).toStartWith('-/usr/bin/timeout 60 /bin/sh -c ')
    expect(Number(valuesOf('TimeoutStartSec')[0])).toBeGreaterThan(60)
    // As systemd passes it on: $$ is a dollar sign.
    const [, script = ''] = /'(.*)'$/.exec(after) ?? []
    const wait = (pid: number | undefined, server: Server | undefined) =>
      spawn(
        '/usr/bin/timeout',
        ['60', '/bin/sh', '-c', script.replaceAll('$$', '$').replace('/usr/local/bin/audittrail', binary)],
        {
          env: {
            PATH: process.env.PATH,
            MAINPID: String(pid),
            HOST: '127.0.0.1',
            PORT: server ? new URL(server.url).port : '1',
          },
          stdio: 'inherit',
        },
      )
    const codeOf = (child: ChildProcess) => new Promise((resolve) => child.once('exit', resolve))
    const server = await serve()
    expect(await codeOf(wait(server.process.pid, server))).toBe(0)
    const endless = wait(server.process.pid, undefined)
    const code = codeOf(endless)
    expect(await Promise.race([code, Bun.sleep(1500).then(() => 'waiting')])).toBe('waiting')
    await server.stop()
    expect(await code).toBe(0)
  })

  test('keeps its data where systemd provides a directory', () => {
    expect(valuesOf('StateDirectory')).toEqual(['audittrail'])
    expect(valuesOf('Environment').join(' ')).toContain('DATA_DIR=/var/lib/audittrail')
  })

  test.skipIf(!hasProgram('systemd-analyze', 'systemd'))(
    'passes systemd-analyze and restricts what can be restricted',
    () => {
      const copy = join(temporaryDirectory('unit'), 'audittrail.service')
      writeFileSync(copy, unit.replace('/usr/local/bin/audittrail serve', `${binary} serve`))
      const verified = spawnSync('systemd-analyze', ['verify', '--man=no', copy], { encoding: 'utf8' })
      expect(verified.stderr.split('\n').filter((line) => line.includes('audittrail'))).toEqual([])
      expect(verified.status).toBe(0)
      // Of ten, where ten means unrestricted.
      const judged = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=20', copy])
      expect(judged.status).toBe(0)
    },
  )
})
