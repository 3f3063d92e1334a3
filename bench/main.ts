import { mkdirSync, statSync } from 'node:fs'
import { measureEqualization } from './equalization.ts'
import { binary, describeMachine, reference, root } from './machine.ts'
import { rounds } from './options.ts'
import { measureRefusals } from './refusals.ts'
import { report } from './report.ts'
import { measureEmbedded, measureStartup } from './startup.ts'
import { measureStorm } from './storm.ts'
import { measureSweep } from './sweep.ts'
import { measureThroughput } from './throughput.ts'

/**
 * `bun run bench`: every figure of docs/performance.md. Runs are interleaved (A B C, A B C, …), so
 * that a machine whose speed drifts affects all alike. Prints a Markdown table of minimum, median
 * and maximum.
 */
const parts: Readonly<Record<string, () => Promise<void>>> = {
  startup: measureStartup,
  embedded: measureEmbedded,
  throughput: measureThroughput,
  storm: measureStorm,
  refusals: measureRefusals,
  equalization: measureEqualization,
  sweep: measureSweep,
}

/** Parts to run, by name: `ONLY=storm,refusals`. */
const selected = process.env.ONLY?.split(',') ?? Object.keys(parts)
const unknown = selected.filter((name) => !(name in parts))
if (unknown.length > 0)
  throw new Error(`Unknown part in ONLY: ${unknown.join(', ')}. Use ${Object.keys(parts).join(', ')}.`)

await buildReference()
console.log(`${describeMachine()}; ${rounds} rounds\n`)
console.log('| what | min | median | max |\n|---|---|---|---|')
reportSizes()
for (const [name, measure] of Object.entries(parts)) if (selected.includes(name)) await measure()

async function buildReference(): Promise<void> {
  mkdirSync(`${root}/dist/bench`, { recursive: true })
  const flags = [
    '--compile',
    '--minify',
    '--bytecode',
    '--format=esm',
    '--no-compile-autoload-bunfig',
    '--no-compile-autoload-dotenv',
  ]
  const child = Bun.spawn([process.execPath, 'build', ...flags, 'bench/reference.ts', `--outfile=${reference}`], {
    cwd: root,
    stdout: 'ignore',
  })
  if ((await child.exited) !== 0) throw new Error('bench/reference.ts does not compile.')
}

function reportSizes(): void {
  const megabytes = (file: string) => statSync(file).size / 1e6
  report('binary, MB', [megabytes(binary)])
  report('binary above a compiled Bun.serve, MB', [megabytes(binary) - megabytes(reference)])
}
