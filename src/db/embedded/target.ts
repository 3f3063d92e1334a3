import type { Log } from '../../telemetry/log.ts'
import type { DatabaseTarget } from '../pool/connection.ts'
import { openEmbedded } from './engine.ts'

export interface OpenTarget {
  readonly target: DatabaseTarget
  /** Resolves with a line for the operator when the database has died and nothing can go on. */
  readonly lost: Promise<string>
  readonly close: () => Promise<void>
}

/** The embedded database while it opens, which whoever asks it first waits for; the log says when its disk is silent. */
export function openEmbeddedTarget(directory: string, log: Log): OpenTarget {
  const lost = Promise.withResolvers<string>()
  const opening = openEmbedded(directory, {
    onFailure: lost.resolve,
    onStall: () => log.error('database.stalled', { detail: 'the disk under DATA_DIR does not answer' }),
    onResume: () => log.info('database.resumed'),
  })
  // Whoever first asks the database is told why it did not open.
  opening.catch(() => {})
  return {
    target: { kind: 'embedded', socket: async () => (await opening).socket() },
    lost: lost.promise,
    close: () => opening.then((embedded) => embedded.close()).catch(() => {}),
  }
}
