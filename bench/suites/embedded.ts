import { binary, emptyDirectory, start } from '../machine/process.ts'
import { residentMegabytes } from '../machine/readings.ts'
import { rounds } from '../options.ts'
import type { Row } from '../report/row.ts'

/** Startup and memory with the embedded database. */
export async function measureEmbedded(): Promise<Row[]> {
  const empty: number[] = []
  const existing: number[] = []
  const health: number[] = []
  const memory: number[] = []
  for (let round = 0; round < rounds; round++) {
    const directory = emptyDirectory()
    const options = { file: binary, directory, path: '/api/ready', environment: { LOG_LEVEL: 'silent' } }
    const first = await start(options)
    empty.push(first.milliseconds)
    await first.stop()
    const second = await start(options)
    existing.push(second.milliseconds)
    await Bun.sleep(1000)
    memory.push(residentMegabytes(second.process))
    await second.stop()
    const third = await start({ ...options, path: '/api/health' })
    health.push(third.milliseconds)
    await third.stop()
  }
  return [
    { what: 'embedded: ready on an empty directory, ms', values: empty },
    { what: 'embedded: ready on an existing directory, ms', values: existing },
    { what: 'embedded: start to first 200 on /health, ms', values: health },
    { what: 'embedded: memory, idle, MB', values: memory },
  ]
}
