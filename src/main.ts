import { writeSync } from 'node:fs'
import { run } from './cli/run.ts'
import { environment } from './config.ts'

process.exitCode = await run(process.argv.slice(2), {
  environment,
  stdout: (text) => writeAll(1, text),
  stderr: (text) => writeAll(2, text),
})
process.exit()

/** Synchronous, so that the last line is out before the process is. A reader that has gone away is no reason to fail. */
function writeAll(descriptor: number, text: string): void {
  const bytes = Buffer.from(text)
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(descriptor, bytes, written)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'EAGAIN') return
      // The reader is slow; without a pause this would burn a core.
      Bun.sleepSync(1)
    }
  }
}
