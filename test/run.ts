import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { makeAssets } from '../deploy/compile.ts'
import { temporaryDirectory } from './endOfFile.ts'
import { chooseDataParent, startServer } from './postgresqlServer.ts'

// Runs every test on one PostgreSQL server: most files side by side, then one at a time those with
// limits of time that the product promises, or with a load of their own. With `fast`, runs only the
// tests that need no binary, and suites for both databases only on PostgreSQL. Ends with the sums in
// the form of `bun test`.

const isFast = process.argv[2] === 'fast'
const fast = /^([^/]+$|(cli|config|contract|db|domain|http|system|telemetry)\/)/
const alone =
  /^(attack\/bruteForce|binary\/shutdown|deploy\/(fail2ban|metrics)|failover|faults\/(?!auditKills|clocks|dataDirectory|embedded|idle|names|poolLimits|powerCuts|requestTimeout|rollouts|silent|tls)|strictness)/

// Those in `interop` need Go, and are run by `bun run test:interop`.
const files = [...new Bun.Glob('**/*.test.ts').scanSync(import.meta.dir)]
  .filter((file) => !file.startsWith('interop/'))
  .sort()
const chosen = isFast ? files.filter((file) => fast.test(file)) : files
const groups = [
  { isParallel: true, files: chosen.filter((file) => !alone.test(file)) },
  { isParallel: false, files: chosen.filter((file) => alone.test(file)) },
]

/** Files that take about a minute or more start first, so that none runs at the end on its own. */
const longest = [
  'faults/embeddedKills',
  'browser/hostileReturns',
  'binary/import',
  'deploy/container',
  'binary/accounts',
  'faults/powerCuts',
].map((name) => `${name}.test.ts`)

const parts = ['pass', 'skip', 'todo', 'fail'] as const
const sums = { pass: 0, skip: 0, todo: 0, fail: 0 }

/** Returns the exit code of `bun test`, and adds its results to the sums. */
async function run({ isParallel, files }: (typeof groups)[number], databaseUrl: string): Promise<number> {
  // One more than cores, since many tests wait. Each loads a module once.
  const workers = isParallel
    ? [`--parallel=${availableParallelism() + 1}`, '--no-isolate', `--timings=${await timingsOf(files)}`]
    : []
  const paths = files.map((file) => `./test/${file}`)
  const tests = spawn(process.execPath, ['test', ...workers, '--timeout', '120000', ...paths], {
    env: {
      ...process.env,
      TEST_DATABASE_URL: databaseUrl,
      TEST_SERVER: 'discarded',
      TEST_DIRECTORY: directory,
      ...(isFast ? { TEST_FAST: '1' } : {}),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  const closed = once(tests, 'close')
  for (const stream of [tests.stdout, tests.stderr])
    stream.on('data', (chunk: Buffer) => {
      process.stdout.write(chunk)
      text = `${text}${chunk}`.slice(-2000)
    })
  const [code] = await closed
  for (const part of parts) sums[part] += Number(new RegExp(`^ *(\\d+) ${part}$`, 'm').exec(text)?.[1] ?? 0)
  return code ?? 1
}

/**
 * Writes durations by which Bun starts the longest files first, and the others mixed: those of one
 * folder load the machine alike. Bun starts a file without a duration before all others.
 */
async function timingsOf(files: readonly string[]): Promise<string> {
  const path = join(directory, 'timings.json')
  const milliseconds = (file: string) =>
    longest.includes(file) ? 60_000 - longest.indexOf(file) : Number(Bun.hash(file) % 1000n)
  const timings = Object.fromEntries(files.map((file) => [`test/${file}`, milliseconds(file)]))
  await Bun.write(path, JSON.stringify({ version: 1, files: timings }))
  return path
}

const began = performance.now()
const { code: notMade } = await makeAssets()
if (notMade) process.exit(notMade)
// Of hundreds of databases, the launcher would start a worker in one every 100 ms.
const server = await startServer(['fsync=off', 'autovacuum=off'], chooseDataParent())
const directory = temporaryDirectory('run')
const codes: number[] = []
for (const group of groups) if (group.files.length > 0) codes.push(await run(group, server.url))
await server.stop()
console.log(`\n${parts.map((part) => ` ${sums[part]} ${part}\n`).join('')}`)
console.log(`${chosen.length} files in ${Math.round((performance.now() - began) / 1000)} s`)
process.exit(codes.find((code) => code !== 0) ?? 0)
