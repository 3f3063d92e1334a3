import { expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from '../endOfFile.ts'

const repository = join(import.meta.dir, '../..')

test('the documented backup of the embedded database is readable only by its owner', () => {
  const page = readFileSync(join(repository, 'docs/operations.md'), 'utf8')
  const [, commands = ''] = /### Back up the embedded database[\s\S]*?```sh\n([\s\S]*?)```/.exec(page) ?? []
  const directory = temporaryDirectory('backup')
  const [programs, data] = [join(directory, 'programs'), join(directory, 'data')]
  for (const path of [programs, data]) mkdirSync(path)
  writeFileSync(join(programs, 'systemctl'), '#!/bin/sh\n')
  chmodSync(join(programs, 'systemctl'), 0o755)
  writeFileSync(join(data, 'secret.key'), 'k')
  const { status, stderr } = spawnSync('sh', ['-c', `umask 022; ${commands.replace('/var/lib/audittrail', data)}`], {
    cwd: directory,
    env: { PATH: `${programs}:${process.env.PATH}` },
    encoding: 'utf8',
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(statSync(join(directory, 'audittrail.tar.gz')).mode & 0o777).toBe(0o600)
})
