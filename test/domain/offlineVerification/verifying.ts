import { reportText } from '../../../src/cli/commands/audit/reportText.ts'
import { type AuditReport, listFirst } from '../../../src/cli/control/auditVerification.ts'
import type { ExportFiles } from '../../../src/domain/exportedLog/exportFiles.ts'
import type { GivenCheckpoint } from '../../../src/domain/exportedLog/heads.ts'
import { openCheckpoint, type Trust } from '../../../src/domain/exportedLog/trust.ts'
import { verifyExport } from '../../../src/domain/offlineVerification/verifyExport.ts'
import { parseVerifierKey } from '../../../src/domain/transparency/signedNote.ts'
import { type Policy, parsePolicy } from '../../../src/domain/witnesses/policy.ts'
import { type Files, signer } from './sampleLog.ts'
import type { Vector } from './vector.ts'

export type Verified = Pick<Vector, 'files' | 'vkeys' | 'policy' | 'checkpoints'>

/** Where a verifier finds the checkpoints that the auditor has kept. */
export const keptFile = 'kept.txt'

export async function verify({
  files,
  vkeys = [signer.vkey],
  policy: text,
  checkpoints = [],
}: Verified): Promise<AuditReport> {
  const policy = text === undefined ? undefined : policyOf(text)
  const logs = policy?.logs.map(({ key }) => key) ?? []
  const trust: Trust = { keys: [...vkeys.flatMap((vkey) => parseVerifierKey(vkey) ?? []), ...logs], policy }
  const given = checkpoints.map((note, at) => givenOf(note, at + 1, trust))
  return listFirst((report) => verifyExport({ files: filesOf(files), trust, given }, report, async () => {}))
}

/** Returns the findings, one per line as the command prints them, and the notes. */
export async function resultOf(
  verified: Verified,
): Promise<{ readonly findings: readonly string[]; readonly notes: readonly string[] }> {
  const report = await verify(verified)
  const lines = reportText(report).split('\n')
  return {
    findings: lines.slice(
      0,
      lines.findIndex((line) => line.startsWith('The audit log ')),
    ),
    notes: report.notes,
  }
}

function policyOf(text: string): Policy {
  const parsed = parsePolicy(Buffer.from(text))
  if ('problem' in parsed) throw new Error(parsed.problem)
  return parsed.policy
}

function givenOf(note: string, number: number, trust: Trust): GivenCheckpoint {
  const opened = openCheckpoint(note, trust)
  if (typeof opened === 'string') throw new Error(opened)
  const name = `${keptFile}: checkpoint ${number} (size ${opened.size})`
  return { ...opened, name, kind: 'given', file: keptFile }
}

function filesOf(files: Files): ExportFiles {
  return {
    read: (path) => files.get(path),
    stream: (path) => {
      const content = files.get(path)
      return content && inChunks(content)
    },
  }
}

/** Ends chunks in the middle of lines and characters. */
async function* inChunks(content: Buffer): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < content.length; start += 1009) yield content.subarray(start, start + 1009)
}
