import { guarded } from '../failure.ts'
import type { Client } from '../pool/connection.ts'
import { clamped } from './sequence.ts'

/** What a witness is known to have cosigned. */
export interface StoredWitness {
  readonly name: string
  /** The size of its newest checkpoint. */
  readonly size: number
  readonly cosignedAt: Date | undefined
}

export interface StoredNote {
  readonly size: number
  readonly note: string
}

type Row = Record<string, string | null>

/** Statements that send checkpoints to witnesses. */
export function witnessStatements(client: Client) {
  return {
    listWitnesses: (): Promise<StoredWitness[]> =>
      guarded(async () => {
        const rows = await client<Row[]>`
          SELECT name, size::text AS size, (extract(epoch FROM cosigned_at) * 1000)::double precision::text AS at
          FROM audittrail_audit_witnesses`
        return rows.map(({ name, size, at }) => ({
          name: name ?? '',
          size: clamped(size ?? 0),
          cosignedAt: at === null ? undefined : new Date(Number(at)),
        }))
      }),

    /** Claims a witness for this many seconds. Returns false while another process has it. */
    claimWitness: (name: string, seconds: number): Promise<boolean> =>
      guarded(async () => {
        const rows = await client`
          INSERT INTO audittrail_audit_witnesses (name, size, claimed_until)
          VALUES (${name}, 0, now() + make_interval(secs => ${seconds}::int))
          ON CONFLICT (name) DO UPDATE SET claimed_until = excluded.claimed_until
          WHERE audittrail_audit_witnesses.claimed_until < now() RETURNING 1 AS one`
        return rows.length === 1
      }),

    /** Extends the claim of a witness, from now on. */
    renewClaim: (name: string, seconds: number): Promise<void> =>
      guarded(async () => {
        await client`
          UPDATE audittrail_audit_witnesses SET claimed_until = now() + make_interval(secs => ${seconds}::int)
          WHERE name = ${name}`
      }),

    /** Sets the size that a witness has, and when it cosigned that, and ends the claim. */
    setWitness: (name: string, size: number, cosignedAt: Date | undefined): Promise<void> =>
      guarded(async () => {
        const at = cosignedAt?.toISOString() ?? null
        await client`
          INSERT INTO audittrail_audit_witnesses (name, size, cosigned_at, claimed_until)
          VALUES (${name}, ${size}::bigint, ${at}::timestamptz, '-infinity')
          ON CONFLICT (name) DO UPDATE SET size = excluded.size, claimed_until = excluded.claimed_until,
            cosigned_at = coalesce(excluded.cosigned_at, audittrail_audit_witnesses.cosigned_at)`
      }),

    /** Returns the newest checkpoint that was made before a time. */
    checkpointBefore: (time: Date): Promise<StoredNote | undefined> =>
      guarded(async () => {
        const [row] = await client<Row[]>`
          SELECT size::text AS size, note FROM audittrail_audit_checkpoints WHERE made_at < ${time.toISOString()}::timestamptz
          ORDER BY audittrail_audit_checkpoints.size DESC LIMIT 1`
        return row && noteOf(row)
      }),

    /**
     * Replaces a note by what `change` returns, unless that is undefined. Returns whether it did.
     */
    cosign: (size: number, at: Date, change: (note: string) => string | undefined): Promise<boolean> =>
      guarded(
        () =>
          client.begin(async (transaction) => {
            const [row] = await transaction<Row[]>`
              SELECT size::text AS size, note FROM audittrail_audit_checkpoints WHERE size = ${size}::bigint FOR UPDATE`
            const note = row && change(row.note ?? '')
            if (note === undefined) return false
            await transaction`
              UPDATE audittrail_audit_checkpoints SET note = ${note}, cosigned_at = coalesce(cosigned_at, ${at.toISOString()}::timestamptz)
              WHERE size = ${size}::bigint`
            return true
          }) as Promise<boolean>,
      ),

    /** Lists cosigned checkpoints below a size, the largest first. */
    listCosigned: (below: number, limit: number): Promise<StoredNote[]> =>
      guarded(async () => {
        const rows = await client<Row[]>`
          SELECT size::text AS size, note FROM audittrail_audit_checkpoints
          WHERE cosigned_at IS NOT NULL AND size < ${below}::bigint
          ORDER BY audittrail_audit_checkpoints.size DESC LIMIT ${limit}`
        return rows.map(noteOf)
      }),

    /** Returns when the first checkpoint above a size was made. */
    firstCheckpointAfter: (size: number): Promise<Date | undefined> =>
      guarded(async () => {
        const [row] = await client<Row[]>`
          SELECT (extract(epoch FROM made_at) * 1000)::double precision::text AS at FROM audittrail_audit_checkpoints
          WHERE size > ${size}::bigint ORDER BY audittrail_audit_checkpoints.size LIMIT 1`
        return row && new Date(Number(row.at))
      }),
  }
}

function noteOf({ size, note }: Row): StoredNote {
  return { size: clamped(size ?? 0), note: note ?? '' }
}
