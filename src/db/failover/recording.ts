import { type EventRow, insertEvents } from '../audit/pending.ts'
import { guarded } from '../failure.ts'
import type { Connection } from '../pool/connection.ts'
import { guardedChange } from '../rejection.ts'
import type { Revocation } from './acknowledgedChanges.ts'

/** Changes that a failover had undone, and that are made again. */
export interface RepeatedChanges {
  readonly kind: Revocation['kind']
  /** Of the sessions, API keys or users. */
  readonly ids: readonly string[]
}

/**
 * Runs work that makes changes and inserts their events, whose rows it asks for, in one transaction.
 */
export type RecordRepetition = <T>(
  work: (eventsOf: (changes: RepeatedChanges) => readonly EventRow[]) => Promise<T>,
) => Promise<T>

/** Returns a change that inserts its events with it. `change` returns the ids that it has changed. */
export type RecordedChange = <Item>(
  kind: Revocation['kind'],
  change: (items: readonly Item[]) => Promise<readonly string[]>,
) => (items: readonly Item[]) => Promise<number>

/** Each change is one transaction, and returns how many rows it has changed. */
export function createRecordedChanges({ client }: Connection, record: RecordRepetition): RecordedChange {
  return (kind, change) => (items) =>
    record((eventsOf) =>
      // COMMIT checks deferred constraints, and may reject the change.
      guardedChange(
        kind === 'deletion' ? 'delete' : 'store',
        () =>
          client.begin(async () => {
            const ids = await change(items)
            await guarded(() => insertEvents(client, eventsOf({ kind, ids })))
            return ids.length
          }) as Promise<number>,
      ),
    )
}
