import type { Clock } from '../../clock.ts'
import type { Witnessing } from '../../domain/witnesses/witnessing.ts'
import type { MetricsRegistry } from '../../telemetry/registry.ts'
import type { Anchors } from './anchors.ts'

/** Registers what is known about AUDIT_CHECKPOINT_FILE. */
export function observeAnchors({ observable }: MetricsRegistry, { state }: Pick<Anchors, 'state'>, clock: Clock): void {
  observable(
    'gauge',
    'audittrail_audit_file_size',
    'Records that the newest checkpoint in AUDIT_CHECKPOINT_FILE covers.',
    () => state().size,
  )
  observable(
    'gauge',
    'audittrail_audit_file_late_seconds',
    'How long a checkpoint has been waiting for AUDIT_CHECKPOINT_FILE; 0: none is waiting.',
    () => {
      const { lateSince } = state()
      return lateSince === undefined ? 0 : (clock() - lateSince) / 1000
    },
  )
}

/** Registers what is known about the witnesses of AUDIT_WITNESSES. */
export function observeWitnesses(
  { observable }: MetricsRegistry,
  { state }: Pick<Witnessing, 'state'>,
  clock: Clock,
): void {
  observable(
    'gauge',
    'audittrail_audit_published_size',
    'Records that the newest checkpoint with a quorum of witnesses covers.',
    () => state().published,
  )
  observable(
    'gauge',
    'audittrail_audit_unpublished_age_seconds',
    'Age of the first checkpoint above the newest one with a quorum of witnesses; 0: there is none.',
    () => {
      const { published, unpublishedSince } = state()
      if (published === undefined) return undefined
      return unpublishedSince === undefined ? 0 : Math.max(0, clock() - unpublishedSince) / 1000
    },
  )
  for (const [at, { name }] of state().witnesses.entries()) {
    const current = () => state().witnesses[at]
    observable(
      'gauge',
      'audittrail_audit_witness_timestamp_seconds',
      'When the witness has last cosigned a checkpoint.',
      () => (current()?.cosignedAt ?? 0) / 1000,
      { witness: name },
    )
    observable(
      'gauge',
      'audittrail_audit_witness_contradicts',
      'Whether the witness has cosigned another audit log than this one.',
      () => Number(['forked', 'ahead'].includes(current()?.failure ?? '')),
      { witness: name },
    )
  }
}
