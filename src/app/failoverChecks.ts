import type { Failover } from '../db/failover/failover.ts'

/** Milliseconds between two checks. Revocations are repeated within two seconds of a failover. */
const interval = 1000

/** Checks for another database server every second. Returns a function that stops it. */
export function startFailoverChecks({ failover }: { readonly failover: Failover }): () => void {
  // The database log reports an outage.
  const timer = setInterval(() => failover.check().catch(() => {}), interval)
  return () => clearInterval(timer)
}
