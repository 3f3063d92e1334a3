import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { makeAssets } from '../deploy/compile.ts'
import { startServer } from './postgresqlServer.ts'

// Runs the fast tests in parallel on one PostgreSQL server, without the binary. Suites for both
// databases run only on PostgreSQL here, and on both in `bun run test`.

const folders = ['cli', 'config', 'contract', 'db', 'domain', 'http', 'system', 'telemetry']
const files = [...new Bun.Glob('*.test.ts').scanSync(import.meta.dir)]
const paths = [...files, ...folders].map((name) => `./test/${name}`)

const { code: notMade } = await makeAssets()
if (notMade) process.exit(notMade)
const server = await startServer()
const tests = spawn(process.execPath, ['test', '--parallel', '--no-isolate', '--timeout', '30000', ...paths], {
  env: { ...process.env, TEST_DATABASE_URL: server.url, TEST_SERVER: 'discarded', TEST_FAST: '1' },
  stdio: 'inherit',
})
const [code] = await once(tests, 'exit')
await server.stop()
process.exit(code ?? 1)
