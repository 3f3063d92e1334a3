import { optional, parseFile, required, wholeNumber } from '../parsers.ts'

/** Settings of the audit log. */
export const auditLogSettings = {
  auditCheckpointFile: optional({
    env: 'AUDIT_CHECKPOINT_FILE',
    doc: 'File to which the server appends checkpoints of the audit log, and with which it compares the log when it starts. Keep it on another disk than the database, one file per server.',
    parse: parseFile,
  }),
  auditWitnesses: optional({
    env: 'AUDIT_WITNESSES',
    doc: 'Policy file (C2SP tlog-policy) with the witnesses that cosign the audit log, and with the quorum that a published checkpoint needs.',
    parse: parseFile,
  }),
  auditPersonalDays: required({
    env: 'AUDIT_PERSONAL_DAYS',
    doc: 'Days after which names, addresses and browsers are erased from the audit log. 0: never.',
    default: '0',
    parse: wholeNumber(0, 36_500),
  }),
  auditRetentionDays: required({
    env: 'AUDIT_RETENTION_DAYS',
    doc: 'Days after which records are pruned from the audit log, 256 at a time. 0: never.',
    default: '0',
    parse: wholeNumber(0, 36_500),
  }),
}
