import { startServer } from '../test/postgresqlServer.ts'
import { binary, load, runJson, start } from './machine.ts'
import { rounds, seconds, settingsFor } from './options.ts'
import { report } from './report.ts'
import { accessToken, loginRequest } from './requests.ts'

interface Probe {
  readonly p50: number
  readonly p99: number
  readonly refused: number
}

/** Measures /auth/me at 100 requests per second, at rest and while 16 clients sign in. */
export async function measureStorm(): Promise<void> {
  const server = await startServer([])
  const quiet: number[] = []
  const storm: number[] = []
  const logins: number[] = []
  const ratios: number[] = []
  try {
    const { port, stop } = await start({ file: binary, path: '/api/ready', environment: settingsFor(server.url) })
    const url = `http://127.0.0.1:${port}/api/auth/me`
    const token = await accessToken(port)
    const probe = () => runJson<Probe>([process.execPath, 'bench/probe.ts', url, token, '100', String(seconds)])
    await probe()
    for (let round = 0; round < rounds; round++) {
      const before = await probe()
      const storming = load(port, 16, seconds + 3, loginRequest())
      await Bun.sleep(1500)
      const during = await probe()
      logins.push((await storming).perSecond)
      quiet.push(before.p99)
      storm.push(during.p99)
      ratios.push(during.p99 / before.p99)
    }
    await stop()
  } finally {
    await server.stop()
  }
  report('GET /api/auth/me at 100 requests/s, p99 at rest, ms', quiet)
  report('the same while 16 clients sign in, ms', storm)
  report('relative to rest (limit: 3)', ratios)
  report('sign-ins during the storm, per second', logins)
}
