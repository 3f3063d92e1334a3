import { run } from './cli/run.ts'
import { environment } from './config/config.ts'
import { outletTo, writeAll } from './system/outlet.ts'

/** Milliseconds that a reader of standard error may take nothing: what is said there must not keep the process from ending. */
const patience = 2000

const outlet = outletTo(1)
const errors = outletTo(2)

process.exitCode = await run(process.argv.slice(2), {
  environment,
  stdout: (text) => writeAll(outlet, Buffer.from(text), Number.POSITIVE_INFINITY),
  stderr: (text) => writeAll(errors, Buffer.from(text), patience),
  outlet,
})
process.exit()
