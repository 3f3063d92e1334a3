import { recordingOfRepetition } from '../../../src/domain/accountStates/repeatedChanges.ts'
import { createAuditKeys } from '../../../src/domain/audit/auditKeys.ts'
import { createRecorder } from '../../../src/domain/audit/recorder.ts'
import { createLog } from '../../../src/telemetry/log.ts'

/** Records as a server does, and logs nothing. */
export function recordingRepetition() {
  const keys = createAuditKeys(() => ({ current: 'k'.repeat(32), previous: [] }), 'audittrail/test')
  const log = createLog({ level: 'error', format: 'json', now: Date.now, write: () => {} })
  return recordingOfRepetition({ audit: createRecorder(keys, Date.now, Date.now), log })
}
