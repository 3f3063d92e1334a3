import { verifyLog } from '../../src/domain/auditVerification/verify.ts'
import type { TestApplication } from '../application.ts'

/** Verifies the audit log, and returns each finding, after the index of its record if it has one. */
export async function problemsOf({ deps: { database, audit } }: TestApplication): Promise<readonly string[]> {
  const found: string[] = []
  const { findings } = await verifyLog({ database, keys: audit.keys }, ({ index, problem }) =>
    found.push(index === undefined ? problem : `${index}: ${problem}`),
  )
  if (found.length !== findings) throw new Error(`${found.length} findings were reported and ${findings} counted.`)
  return found
}
