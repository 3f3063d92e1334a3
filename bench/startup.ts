import { binary, emptyDirectory, reference, residentMegabytes, start } from './machine.ts'
import { rounds, secretKey } from './options.ts'
import { report, reportRatio } from './report.ts'

/** Measures the time from exec to the first response, next to a compiled hello-world server. */
export async function measureStartup(): Promise<void> {
  const environment = { DATABASE_URL: 'postgresql://audittrail@127.0.0.1:9/none', ...secretKey, LOG_LEVEL: 'silent' }
  const hello: number[] = []
  const ours: number[] = []
  for (let round = 0; round < rounds * 2; round++) {
    const first = await start({ file: reference })
    hello.push(first.milliseconds)
    await first.stop('SIGKILL')
    const second = await start({ file: binary, environment, path: '/api/health' })
    ours.push(second.milliseconds)
    await second.stop('SIGKILL')
  }
  report('exec to first response, compiled hello-world Bun.serve, ms', hello)
  report('exec to first response on /api/health, ms', ours)
  reportRatio('startup relative to hello-world (target: at most 2.5)', ours, hello)
}

/** Measures startup and memory with the embedded database. */
export async function measureEmbedded(): Promise<void> {
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
  report('ready on an empty embedded directory, ms (target: 1500)', empty)
  report('ready on an existing embedded directory, ms (target: 600)', existing)
  report('exec to first response on /api/health, embedded, ms', health)
  report('resident memory one second after startup, embedded, MB', memory)
}
