import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { makeAssets } from '../deploy/compile.ts'
import { temporaryDirectory } from './endOfFile.ts'
import { chooseDataParent, startServer } from './postgresqlServer.ts'
import { allResults, collectResults, type Failure } from './results.ts'

// Runs every test on one PostgreSQL server: most files side by side, then those with limits of
// time, then one at a time those with a load of their own. With `fast`, only those without the
// binary, and not on the embedded database. Ends with the sums of `bun test`.

const isFast = process.argv[2] === 'fast'
const fast = /^([^/]+$|(cli|config|contract|db|domain|http|system|telemetry)\/)/
/** Of those, files that wait for real, or are about large amounts or the embedded database. */
const slow =
  /\/(embedded|fewConnections|indexes|largestRepetition|random(Changes|Logs)|spareConnection|witnessResponses)\b/
/** Files with limits of time that the product promises: no more of them at a time than cores. */
const timed =
  /^(deploy\/(fail2ban|metrics)|faults\/(?!auditKills|clocks|dataDirectory|embedded|idle|names|poolLimits|powerCuts|requestTimeout|rollouts|silent|tls))/
/** Files with a load of their own. */
const alone = /^(attack\/bruteForce|binary\/shutdown|failover|strictness)/

// Those in `interop` need Go, and are run by `bun run test:interop`.
const files = [...new Bun.Glob('**/*.test.ts').scanSync(import.meta.dir)]
  .filter((file) => !file.startsWith('interop/'))
  .sort()
const chosen = isFast ? files.filter((file) => fast.test(file) && !slow.test(file)) : files
const cores = availableParallelism()
const groups: readonly Group[] = [
  { workers: cores + 1, files: chosen.filter((file) => !timed.test(file) && !alone.test(file)) },
  { workers: cores, files: chosen.filter((file) => timed.test(file)) },
  { workers: 1, files: chosen.filter((file) => alone.test(file)) },
]

/** The longest files of their groups start first, so that none runs at the end on its own. */
const longest = [
  'faults/embeddedKills',
  'browser/hostileReturns',
  'binary/import',
  'deploy/container',
  'binary/accounts',
  'faults/powerCuts',
  'faults/database',
  'faults/restarts',
  'faults/severalHosts',
  'faults/frozenPrimary',
].map((name) => `${name}.test.ts`)

const parts = ['pass', 'skip', 'todo', 'fail'] as const

/** At most this many files of a group are repeated. */
const maxRepeated = 2

interface Group {
  /** Files at a time. */
  readonly workers: number
  readonly files: readonly string[]
}

interface Outcome {
  /** The exit code of `bun test`. */
  readonly code: number
  readonly sums: Record<(typeof parts)[number], number>
  readonly failures: readonly Failure[]
  readonly hasPassed: (title: string) => boolean
  /** Failures of tests that then passed. */
  readonly repeated: readonly Failure[]
}

/**
 * Runs `files`, and those that failed beside others again alone: a limit of time may be
 * exceeded because of its neighbors. The failure is still reported.
 */
async function runGroup(group: Group, databaseUrl: string): Promise<Outcome> {
  const outcome = await run(group, databaseUrl)
  const { failures, sums } = outcome
  const failed = [...new Set(failures.map(({ file }) => file.replace(/^test\//, '')))]
  const areAllOfTests = failures.length === sums.fail && !failures.some(({ isOutside }) => isOutside)
  const isRepeatable = outcome.code === 1 && areAllOfTests && failed.length <= maxRepeated
  if (group.workers === 1 || failed.length === 0 || !isRepeatable) return outcome
  console.log(`\nAgain, alone: ${failed.join(', ')}`)
  const again = await run({ workers: 1, files: failed }, databaseUrl)
  if (again.code !== 0 || !failures.every(({ title }) => again.hasPassed(title))) return outcome
  return {
    ...outcome,
    code: 0,
    sums: { ...sums, fail: 0, pass: sums.pass + sums.fail },
    failures: [],
    repeated: failures,
  }
}

/** Runs the tests of `files`, and prints what they print. */
async function run({ workers, files }: Group, databaseUrl: string): Promise<Outcome> {
  // One worker more than cores, since many tests wait. These get the lowest priority, as hashing
  // threads have, which would otherwise starve beside the tests of other files.
  const priority = workers > cores ? ['nice', '-n', '19'] : []
  // Each worker loads a module once.
  const parallel = workers > 1 ? [`--parallel=${workers}`, '--no-isolate', `--timings=${await timingsOf(files)}`] : []
  const paths = files.map((file) => `./test/${file}`)
  const words = [...priority, process.execPath, 'test', ...parallel, '--timeout', '120000', ...paths]
  const tests = spawn(words[0] ?? '', words.slice(1), {
    env: {
      ...process.env,
      ...allResults,
      TEST_DATABASE_URL: databaseUrl,
      TEST_SERVER: 'discarded',
      TEST_DIRECTORY: directory,
      // Most code runs too seldom to be worth the last tier of compilation.
      ...(isFast ? { TEST_FAST: '1', BUN_JSC_useFTLJIT: '0' } : {}),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const results = collectResults()
  let text = ''
  const closed = once(tests, 'close')
  tests.stdout.on('data', (chunk: Buffer) => process.stdout.write(chunk))
  tests.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    process.stdout.write(chunk)
    results.add(chunk)
    text = `${text}${chunk}`.slice(-2000)
  })
  const [code] = await closed
  const sum = (part: string) => Number(new RegExp(`^ *(\\d+) ${part}$`, 'm').exec(text)?.[1] ?? 0)
  const sums = { pass: sum('pass'), skip: sum('skip'), todo: sum('todo'), fail: sum('fail') }
  // A test that ends the process leaves no sums, or fewer files.
  const ran = Number(/^Ran \d+ tests? across (\d+) files?\./m.exec(text)?.[1] ?? 0)
  const isComplete = ran === files.length
  return {
    code: isComplete ? (code ?? 2) : code || 2,
    sums,
    failures: results.failures(),
    hasPassed: results.hasPassed,
    repeated: [],
  }
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
const outcomes: Outcome[] = []
for (const group of groups) if (group.files.length > 0) outcomes.push(await runGroup(group, server.url))
await server.stop()
const all = (kind: 'failures' | 'repeated') => outcomes.flatMap((outcome) => outcome[kind])
report('Failed beside other files, and passed alone:', all('repeated'))
report('Failed:', all('failures'))
const sums = parts.map((part) => ` ${outcomes.reduce((sum, outcome) => sum + outcome.sums[part], 0)} ${part}\n`)
console.log(`\n${sums.join('')}`)
if (all('repeated').length > 0) console.log(` ${all('repeated').length} passed only alone`)
console.log(`${chosen.length} files in ${Math.round((performance.now() - began) / 1000)} s`)
process.exit(outcomes.find(({ code }) => code !== 0)?.code ?? 0)

/** Prints errors once more at the end, where they are found without the rest of the output. */
function report(title: string, failures: readonly Failure[]): void {
  if (failures.length === 0) return
  console.log(`\n${title}`)
  for (const { file, text } of failures) console.log(`\n${file}:\n${text}`)
}
