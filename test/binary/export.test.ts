import { describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { run, start } from './binary.ts'
import { databaseKinds, installForSuite, serverStates } from './installation.ts'

describe.each(databaseKinds)('export on %s', (kind) => {
  describe.each(serverStates)('%s', (state) => {
    const { command, installation } = installForSuite(kind, state)

    test('writes a complete file with mode 0600, and replaces another only with --force', async () => {
      const out = await command('export users.out')
      expect(out).toMatchObject({
        code: 0,
        stdout: '',
        stderr: expect.stringContaining('contains password hashes'),
      })
      expect(statSync(join(installation().directory, 'users.out')).mode & 0o777).toBe(0o600)
      expect(await command('export users.out')).toMatchObject({
        code: 1,
        stderr: 'audittrail: The file "users.out" already exists. Add --force to replace it.\n',
      })
      expect((await command('export users.out --force')).code).toBe(0)
      expect((await command('export nowhere/users.out')).stderr).toBe(
        'audittrail: Cannot write the file "nowhere/users.out" (ENOENT).\n',
      )
      expect(readdirSync(installation().directory).filter((name) => name.endsWith('.partial'))).toEqual([])
    })

    test.each(['SIGINT', 'SIGHUP'] as const)('leaves no partial file after %s', async (signal) => {
      const files = () => readdirSync(installation().directory).filter((name) => name.endsWith('.partial'))
      const child = start({ ...installation(), args: ['export', 'ended.out'] })
      while (files().length === 0 && child.process.exitCode === null) await Bun.sleep(1)
      child.process.kill(signal)
      await child.finished
      expect(files()).toEqual([])
      rmSync(join(installation().directory, 'ended.out'), { force: true })
    })

    test('does not replace a device, pipe or directory, even with --force', async () => {
      const pipe = join(installation().directory, 'pipe')
      spawnSync('mkfifo', [pipe])
      mkdirSync(join(installation().directory, 'folder'), { recursive: true })
      symlinkSync('/dev/null', join(installation().directory, 'null'))
      for (const name of ['pipe', 'folder', 'null']) {
        expect(await command(`export ${name} --force`)).toMatchObject({
          code: 1,
          stderr: `audittrail: ${JSON.stringify(name)} is not a regular file and is not replaced. Choose another file, or - for stdout.\n`,
        })
      }
      expect(statSync(pipe).isFIFO()).toBe(true)
      expect((await command(`export ${'x'.repeat(300)}`)).stderr).toContain('(ENAMETOOLONG).')
      rmSync(pipe)
      rmSync(join(installation().directory, 'null'))
    })

    test('exits 1 if standard output is full or closed', async () => {
      const into = async (target: string) => {
        const [program, ...args] = ['sh', '-c', `exec "$0" export - > ${target}`]
        return run([], { ...installation(), command: [program ?? '', ...args] })
      }
      expect(await into('/dev/full')).toMatchObject({
        code: 1,
        stderr: 'audittrail: Cannot write to standard output (ENOSPC). Not every user was exported.\n',
      })
      expect(
        await run([], { ...installation(), command: ['sh', '-c', '{ "$0" export -; echo $? >&2; } | :'] }),
      ).toMatchObject({
        stderr: 'audittrail: Cannot write to standard output (EPIPE). Not every user was exported.\n1\n',
      })
    })
  })
})
