import type { Sequencer } from '../../domain/audit/sequencer.ts'
import type { Deps } from '../../domain/deps.ts'
import { createWitnessing, type Witnessing } from '../../domain/witnesses/witnessing.ts'
import { boundedPost } from '../../system/boundedPost.ts'
import { describeError } from '../../telemetry/log.ts'
import { version } from '../../version.ts'

/** What a witness may take of this process: milliseconds, and bytes of a response. */
const bounds = { timeout: 10_000, maxLength: 65_536, userAgent: `AuditTrail/${version}` }

/** Milliseconds. */
const minute = 60_000
const checkInterval = 5000

/** Returns what sends checkpoints to the witnesses. Undefined without AUDIT_WITNESSES. */
export function wireWitnessing(deps: Deps, { signedHead }: Pick<Sequencer, 'signedHead'>): Witnessing | undefined {
  const { witnesses: policy, audit, database, clock, log } = deps
  if (!policy) return undefined
  const post = (url: string, body: string) => boundedPost(url, body, bounds)
  return createWitnessing({ database, keys: audit.keys, clock, log, policy, signedHead, post })
}

/** Sends checkpoints once a minute. Returns a function that stops it, and waits for nothing. */
export function startWitnessing(witnessing: Witnessing, { clock, log }: Pick<Deps, 'clock' | 'log'>): () => void {
  let ran: number | undefined
  let isRunning = false
  let isStopped = false
  const run = async () => {
    isRunning = true
    try {
      await witnessing.run()
    } catch (error) {
      if (!isStopped) log.warn('audit.witnessing_failed', describeError(error))
    }
    isRunning = false
  }
  const timer = setInterval(() => {
    // All replicas begin with the minute, since a quorum must cosign the same checkpoint.
    const current = Math.floor(clock() / minute)
    if (isRunning || current === ran) return
    if (witnessing.state().published !== undefined) ran = current
    void run()
  }, checkInterval)
  return () => {
    isStopped = true
    clearInterval(timer)
  }
}
