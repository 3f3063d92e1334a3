import { describe, expect, test } from 'bun:test'
import { emptyDirectory, serve } from '../binary/binary.ts'
import { newWorkload, settings } from './workload.ts'

/** Fifty in total. Two directories at a time: one works while the other starts. */
const rounds = 25

describe('kill -9 on the embedded database, fifty times under sign-ins, refreshes and administration', () => {
  test.concurrent.each(['one', 'two'])(
    'loses no acknowledged change and opens again (directory %s)',
    async () => {
      const directory = emptyDirectory()
      const workload = newWorkload(3, 2)
      for (let round = 0; round < rounds; round++) {
        const server = await serve({ directory, environment: settings })
        await workload.verify(server.url)
        const work = workload.run(server.url)
        await workload.proceed(8 + Math.random() * 45)
        await server.stop('SIGKILL')
        await work
      }
      const server = await serve({ directory, environment: settings })
      await workload.verify(server.url)
      expect((await server.stop()).code).toBe(0)
    },
    900_000,
  )
})
