// bun deploy/recordOrder.ts: records which functions dist/audittrail uses until it is ready on
// DATABASE_URL, an empty database, in deploy/bytecodeOrder.txt. The next build lays them out
// together.
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bytecodeOrder } from './compile.ts'

const executable = join(import.meta.dir, '../dist/audittrail')
const { DATABASE_URL, PORT = '8000' } = process.env
if (!DATABASE_URL) {
  console.error('recordOrder: set DATABASE_URL to an empty database.')
  process.exit(2)
}

const recorded = join(tmpdir(), `bytecodeOrder-${process.pid}`)
const server = Bun.spawn([executable, 'serve'], {
  env: { DATABASE_URL, PORT, HOST: '127.0.0.1', SECRET_KEY: 'k'.repeat(32), BUN_BYTECODE_ORDER_OUT: recorded },
  stdout: 'ignore',
})
const isReady = () =>
  fetch(`http://127.0.0.1:${PORT}/api/ready`).then(
    ({ ok }) => ok,
    () => false,
  )
while (!(await isReady())) {
  if (server.exitCode !== null) throw new Error(`${executable} exited with code ${server.exitCode}.`)
  await Bun.sleep(50)
}
// The first periodic work.
await Bun.sleep(7000)
server.kill('SIGTERM')
await server.exited

// The version, the functions and the modules. The strings and constants follow from them.
const lines = (await Bun.file(recorded).text()).split('\n').filter((line) => /^[vFM]/.test(line))
writeFileSync(bytecodeOrder, `${lines.join('\n')}\n`)
rmSync(recorded)
console.log(`${bytecodeOrder}: ${lines.length} lines`)
