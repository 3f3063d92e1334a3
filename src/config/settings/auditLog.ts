import { optional, parseFile } from '../parsers.ts'

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
}
