import { describeMachine, givesMemoryBack, watchOtherLoad } from './machine/readings.ts'
import { rounds, seconds } from './options.ts'
import { buildReference } from './reference/reference.ts'
import { saveResult } from './report/results.ts'
import type { Row } from './report/row.ts'
import { printChart, printRows } from './report/terminal.ts'
import { measureAudit } from './suites/audit.ts'
import { measureBefore } from './suites/before.ts'
import { measureEmbedded } from './suites/embedded.ts'
import { measureEqualization } from './suites/equalization.ts'
import { measureGrowth } from './suites/growth.ts'
import { measureIntrospection } from './suites/introspection.ts'
import { measureLayout } from './suites/layout.ts'
import { measureLogin } from './suites/login.ts'
import { measureMe } from './suites/me.ts'
import { measureMemory } from './suites/memory.ts'
import { measureRefresh } from './suites/refresh.ts'
import { measureRefusals } from './suites/refusals.ts'
import { measureStart } from './suites/start.ts'
import { measureStorm } from './suites/storm.ts'
import { measureSweep } from './suites/sweep.ts'
import { measureVerify } from './suites/verify.ts'

/** `bun run bench`: measures, prints and saves. See bench/README.md. It judges nothing:
 * the exit code is 1 only if a suite could not run. */
const suites: Readonly<Record<string, () => Promise<readonly Row[]>>> = {
  me: measureMe,
  verify: measureVerify,
  login: measureLogin,
  refresh: measureRefresh,
  introspection: measureIntrospection,
  storm: measureStorm,
  start: measureStart,
  memory: measureMemory,
  growth: measureGrowth,
  layout: measureLayout,
  embedded: measureEmbedded,
  refusals: measureRefusals,
  equalization: measureEqualization,
  sweep: measureSweep,
  audit: measureAudit,
  before: measureBefore,
}

/** Suites to run: `ONLY=storm,refusals`. */
const selected = process.env.ONLY?.split(',') ?? Object.keys(suites)
const unknown = selected.filter((name) => !(name in suites))
if (unknown.length > 0)
  throw new Error(`Unknown suite in ONLY: ${unknown.join(', ')}. Use ${Object.keys(suites).join(', ')}.`)

await buildReference()
console.log(describeMachine())
if (givesMemoryBack())
  console.log(
    'This virtual machine gives free memory back to its host, which slows sign-ins down: see bench/README.md.',
  )
const all: Row[] = []
for (const [name, measure] of Object.entries(suites)) {
  if (!selected.includes(name)) continue
  console.log(`\n${name} (${rounds} rounds of ${seconds} s; median, minimum to maximum)`)
  const otherLoadSince = watchOtherLoad()
  const rows = await measure().catch((error: unknown) => {
    console.log(`  Could not be measured. ${error instanceof Error ? error.message : error}`)
    process.exitCode = 1
  })
  const otherLoad = otherLoadSince()
  if (!rows) continue
  printRows(rows)
  if (otherLoad !== undefined) console.log(`  Other programs used ${otherLoad.toFixed(1)} cores during this suite.`)
  saveResult(name, { date: new Date().toISOString().slice(0, 10), rounds, seconds, otherLoad, rows })
  all.push(...rows)
}
printChart(all)
