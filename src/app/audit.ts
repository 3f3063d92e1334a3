import { createHmac } from 'node:crypto'
import type { Config } from '../config/config.ts'
import type { Setting } from '../config/parsers.ts'
import { settings } from '../config/settings.ts'
import { auditedStatement, recordAlone, recordSuppressed } from '../domain/audit/audited.ts'
import type { Deps } from '../domain/deps.ts'
import { deriveKey } from '../secretKeys.ts'
import { describeError } from '../telemetry/log.ts'
import { version } from '../version.ts'
import { startWitnessing } from './anchors/witnessing.ts'
import type { App } from './app.ts'

/**
 * Records the start of a server, and starts moving events into the log. Returns a function that
 * records its stop and takes what is left.
 */
export async function startAudit(
  { deps, sequencer, anchors, witnessing }: App,
  config: Config,
): Promise<() => Promise<void>> {
  const configuration = fingerprintOf(deps, config)
  await reporting(deps, () => recordAlone(deps, { event: { event: 'server.started', version, configuration } }))
  const stop = sequencer.start()
  const stopAnchors = anchors.start(sequencer.signedHead)
  const stopWitnessing = witnessing && startWitnessing(witnessing, deps)
  return () => {
    stopWitnessing?.()
    return atMost(stopLimit, async () => {
      const { insertEvent } = deps.database.audit
      await reporting(deps, () => recordSuppressed(deps, 'now'))
      // Last, since it settles the numbers of all others.
      await reporting(deps, () => auditedStatement(deps, { event: { event: 'server.stopped' } }, insertEvent))
      await stop()
      await stopAnchors()
    })
  }
}

/**
 * Milliseconds that a shutdown waits for the last events. The next server takes what is left, and a
 * database that does not respond must not keep its connections open.
 */
const stopLimit = 500

async function atMost(limit: number, work: () => Promise<void>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, limit)
  await Promise.race([work(), late])
  clearTimeout(timer)
}

/** A server without this one record is still better than none. */
async function reporting({ log }: Pick<Deps, 'log'>, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    log.warn('audit.not_recorded', describeError(error))
  }
}

/** Returns a MAC of the settings that are no secrets, by which a changed configuration shows. */
function fingerprintOf(deps: Deps, config: Config): string {
  const named = Object.entries(settings) as [keyof typeof settings, Setting<unknown>][]
  const values = named.filter(([, { secret }]) => !secret).map(([name]) => [name, config[name] ?? null])
  const key = deriveKey(deps.settings.keys.secretKeys().current, 'audittrail audit configuration')
  return createHmac('sha256', key).update(JSON.stringify(values)).digest('hex').slice(0, 32)
}
