import { type SQL, sql } from 'drizzle-orm'
import { isOfCurrentEpoch } from '../epoch.ts'
import { guarded } from '../failure.ts'
import type { Connection } from '../pool/connection.ts'
import { instance, sessions } from '../schema.ts'

export type SessionSweepStatements = ReturnType<typeof sessionSweepStatements>

/** Where a batch starts, as text of the database. Undefined: at the beginning. */
export type SweepPosition = string | undefined

export interface SweptBatch {
  readonly seen: number
  readonly deleted: number
  /** Where the next batch starts. */
  readonly position: SweepPosition
}

/** Each batch continues after the previous one, not among the index entries of deleted rows. */
export function sessionSweepStatements({ orm }: Pick<Connection, 'orm'>) {
  const sweep = (statement: SQL): Promise<SweptBatch> =>
    guarded(async () => {
      const [row] = await orm.execute<{ seen: number; deleted: number; position: string | null }>(statement)
      return { seen: row?.seen ?? 0, deleted: row?.deleted ?? 0, position: row?.position ?? undefined }
    })

  /** Reads sessions by id and deletes those for which the condition holds. */
  const sweepById = (position: SweepPosition, limit: number, isIncluded: SQL, isOver: SQL) =>
    sweep(sql`
      WITH part AS MATERIALIZED (
        SELECT id FROM ${sessions} s WHERE ${isIncluded} AND id >= ${position ?? '00000000-0000-0000-0000-000000000000'}::uuid
        ORDER BY id LIMIT ${limit}),
      over AS MATERIALIZED (
        SELECT s.id FROM ${sessions} s JOIN part ON part.id = s.id WHERE ${isOver} FOR UPDATE OF s SKIP LOCKED),
      deleted AS (DELETE FROM ${sessions} s USING over WHERE s.id = over.id RETURNING s.id)
      SELECT (SELECT count(*)::integer FROM part) AS seen, (SELECT count(*)::integer FROM deleted) AS deleted,
             (SELECT id::text FROM part ORDER BY id DESC LIMIT 1) AS position`)

  return {
    /**
     * Deletes sessions whose `sweep_at` has come, skipping locked ones. One that is active, since
     * the limits were raised after it started, is swept when it expires.
     */
    deleteDueSessions: (now: Date, position: SweepPosition, limit: number): Promise<SweptBatch> =>
      sweep(sql`
        WITH due AS MATERIALIZED (
          SELECT id, sweep_at, expires_at FROM ${sessions}
          WHERE sweep_at IS NOT NULL AND sweep_at >= ${position ?? '-infinity'}::timestamptz AND sweep_at <= ${at(now)}
          ORDER BY sweep_at LIMIT ${limit} FOR UPDATE SKIP LOCKED),
        deleted AS (
          DELETE FROM ${sessions} s USING due WHERE s.id = due.id AND due.expires_at <= ${at(now)} RETURNING s.id),
        postponed AS (
          UPDATE ${sessions} s SET sweep_at = due.expires_at FROM due WHERE s.id = due.id AND due.expires_at > ${at(now)})
        SELECT (SELECT count(*)::integer FROM due) AS seen, (SELECT count(*)::integer FROM deleted) AS deleted,
               (SELECT max(sweep_at)::text FROM due) AS position`),

    /** Deletes ended sessions that older versions started, which are without `sweep_at`. */
    deleteUnscheduledSessions: (now: Date, position: SweepPosition, limit: number): Promise<SweptBatch> =>
      sweepById(position, limit, sql`s.sweep_at IS NULL`, sql`s.expires_at <= ${at(now)}`),

    /** Deletes sessions that ended with their epoch. */
    deleteFormerSessions: (position: SweepPosition, limit: number): Promise<SweptBatch> =>
      sweepById(position, limit, sql`true`, sql`NOT ${isOfCurrentEpoch(sql`s`)}`),

    /** Returns the current epoch if sessions of former ones have not been deleted. */
    findUnsweptEpoch: (): Promise<number | undefined> =>
      guarded(async () => {
        const [row] = await orm
          .select({ epoch: instance.session_epoch })
          .from(instance)
          .where(sql`${instance.swept_epoch} < ${instance.session_epoch}`)
        return row?.epoch
      }),

    markEpochSwept: (epoch: number): Promise<void> =>
      guarded(async () => {
        await orm.update(instance).set({ swept_epoch: epoch }).where(sql`${instance.swept_epoch} < ${epoch}`)
      }),
  }
}

function at(time: Date): SQL {
  return sql`${time.toISOString()}::timestamptz`
}
