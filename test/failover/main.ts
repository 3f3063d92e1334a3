import { checkAsynchronousLoss } from './asynchronousLoss.ts'
import { missingRequirements } from './installation.ts'
import { parseOptions, type Scenario } from './options.ts'
import { checkLedger } from './rounds.ts'
import { checkSplitBrain } from './splitBrain.ts'
import { checkStandbyLoss } from './standbyLoss.ts'

// Runs AuditTrail on the cluster of deploy/ha through failures. Not part of `bun test`, since it
// needs Patroni and etcd from PyPI: see CONTRIBUTING.md.

const options = parseOptions(process.argv.slice(2))
const missing = missingRequirements()
if (missing.length > 0) {
  console.error(`test:failover needs:\n${missing.map((line) => `  ${line}`).join('\n')}`)
  process.exit(1)
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))

/** Each check returns what it found wrong. */
const checks: Record<Scenario, () => Promise<readonly string[]>> = {
  ledger: () => checkLedger(options),
  asynchronous: checkAsynchronousLoss,
  splitBrain: checkSplitBrain,
  standbyLost: () => checkStandbyLoss(options.standbySeconds),
}

let failed = 0
for (const name of options.scenarios) {
  const problems = await checks[name]().catch((error: Error) => [`${error.name}: ${error.message}\n${error.stack}`])
  if (problems.length > 0) failed++
  console.log(`${problems.length === 0 ? 'pass' : 'FAIL'} ${name}`)
  for (const problem of problems.slice(0, 20)) console.log(`  ${problem}`)
}
console.log(`${options.scenarios.length - failed} passed, ${failed} failed`)
process.exit(failed > 0 ? 1 : 0)
