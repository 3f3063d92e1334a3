import { statSync } from 'node:fs'
import { withService } from '../database/service.ts'
import { binary, start } from '../machine/process.ts'
import { rounds, settingsFor } from '../options.ts'
import { reference, startReference } from '../reference/reference.ts'
import { type Row, ratio } from '../report/row.ts'
import { binaryBefore, names } from '../report/targets.ts'

/**
 * The time from exec to the first response, next to a compiled hello-world; and the binary's size.
 */
export async function measureStart(): Promise<Row[]> {
  const hello: number[] = []
  const health: number[] = []
  const ready: number[] = []
  await withService(async ({ databaseUrl }) => {
    const environment = settingsFor(databaseUrl)
    for (let round = 0; round < rounds * 5; round++) {
      const runs = [
        [hello, () => startReference('hello')],
        [health, () => start({ file: binary, environment, path: '/api/health' })],
        [ready, () => start({ file: binary, environment, path: '/api/ready' })],
      ] as const
      for (const [times, run] of runs) {
        const started = await run()
        times.push(started.milliseconds)
        await started.stop('SIGKILL')
      }
    }
  })
  const megabytes = (file: string) => statSync(file).size / 1e6
  return [
    { what: 'start to first 200, compiled hello-world, ms', values: hello },
    { what: 'start to first 200 on /health, ms', values: health },
    { what: 'start to ready, ms', values: ready },
    ratio(names.start, health, hello),
    { what: names.binary, values: [megabytes(binary) - binaryBefore] },
    { what: 'binary, above a compiled hello-world, MB', values: [megabytes(binary) - megabytes(reference)] },
  ]
}
