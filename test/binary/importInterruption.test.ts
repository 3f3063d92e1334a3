import { describe, expect, test } from 'bun:test'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hasProgram } from '../requirements.ts'
import { binary, run, serve } from './binary.ts'
import { databaseKinds, hash, installForSuite, linesOf, newInstallation, serverStates } from './installation.ts'

describe.each(databaseKinds)('import on %s', (kind) => {
  describe.each(serverStates)('%s', (state) => {
    const { command, installation } = installForSuite(kind, state)

    test.each(['SIGINT', 'SIGKILL'] as const)(
      'imports nothing if %s ends the command in the middle',
      async (signal) => {
        // With --skip-bad: otherwise the bad line alone would prevent the import.
        const child = spawn(binary, ['import', '-', '--skip-bad'], {
          cwd: installation().directory,
          env: { PATH: process.env.PATH, ...installation().environment },
          stdio: ['pipe', 'ignore', 'pipe'],
        })
        let stderr = ''
        child.stderr.on('data', (chunk) => {
          stderr += chunk
        })
        const users = (from: number) =>
          linesOf(
            Array.from({ length: 2000 }, (_, at) => ({ username: `${signal}${from + at}`, hashed_password: hash })),
          )
        // The report of the bad line shows that the first users have been staged.
        child.stdin.write(`${users(0)}not json\n${users(2000)}`)
        while (!stderr.includes('line 2001: is not valid JSON')) await once(child.stderr, 'data')
        child.kill(signal)
        await once(child, 'close')
        if (signal === 'SIGINT') expect(stderr).toContain('Interrupted. Nothing was imported.')
        const { stdout } = await command(`user list --json --search ${signal}`)
        expect(JSON.parse(stdout)).toEqual([])
      },
    )
  })
})

test('import: imports nothing if the server is killed in the middle', async () => {
  const place = await newInstallation('the embedded database')
  const server = await serve(place)
  const child = spawn(binary, ['import', '-', '--skip-bad'], {
    cwd: place.directory,
    env: { PATH: process.env.PATH, ...place.environment },
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  const exited = once(child, 'close')
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  child.stdin.on('error', () => {})
  const users = Array.from({ length: 1000 }, (_, at) => ({ username: `k${at}`, hashed_password: hash }))
  child.stdin.write(`not json\n${linesOf(users)}`)
  while (!stderr.includes('is not valid JSON')) await once(child.stderr, 'data')
  await server.stop('SIGKILL')
  const [code] = await exited
  expect({ code, stderr }).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('stopped before it finished. Either all users were imported or none'),
  })
  expect(JSON.parse((await run(['user', 'list', '--json', '--search', 'k'], place)).stdout)).toEqual([])
})

describe('import progress', () => {
  test.skipIf(!hasProgram('script', 'bsdutils'))('is shown on a terminal', async () => {
    const place = await newInstallation('PostgreSQL')
    const users = Array.from({ length: 2000 }, (_, at) => ({ username: `p${at}`, hashed_password: hash }))
    writeFileSync(join(place.directory, 'users.ndjson'), linesOf(users))
    const screen = spawnSync('script', ['-qec', `${binary} import users.ndjson`, '/dev/null'], {
      cwd: place.directory,
      env: { PATH: process.env.PATH, ...place.environment },
      encoding: 'utf8',
      timeout: 30_000,
    }).stdout
    expect(screen).toContain('#] 100 %')
    expect(screen).toContain('Imported 2,000 users.')
  })
})
