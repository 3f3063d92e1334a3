import type { Log } from '../../telemetry/log.ts'
import type { DatabaseTarget } from '../pool/connection.ts'
import { openEmbedded } from './engine.ts'

export interface OpenTarget {
  readonly target: DatabaseTarget
  /** Resolves with one line for the operator if the database has failed for good. */
  readonly lost: Promise<string>
  readonly close: () => Promise<void>
}

/**
 * Starts to open the embedded database. The first operation waits for it. A stalled disk is logged.
 */
export function openEmbeddedTarget(directory: string, log: Log): OpenTarget {
  const lost = Promise.withResolvers<string>()
  const opening = openEmbedded(directory, {
    onFailure: lost.resolve,
    onStall: () => log.error('database.stalled', { detail: 'the disk of DATA_DIR does not respond' }),
    onResume: () => log.info('database.resumed'),
  })
  // The first operation reports why it did not open.
  opening.catch(() => {})
  return {
    target: { kind: 'embedded', socket: async () => (await opening).socket() },
    lost: lost.promise,
    close: () => opening.then((embedded) => embedded.close()).catch(() => {}),
  }
}
