import { accessSync, constants, readFileSync } from 'node:fs'
import type { GivenCheckpoint } from '../../../domain/exportedLog/heads.ts'
import { linesOf } from '../../../domain/exportedLog/lines.ts'
import { openCheckpoint, type Trust } from '../../../domain/exportedLog/trust.ts'
import { verifyExport } from '../../../domain/offlineVerification/verifyExport.ts'
import { type NoteVerifier, parseVerifierKey } from '../../../domain/transparency/signedNote.ts'
import { readKeptNotes } from '../../../domain/witnesses/keptNotes.ts'
import { type Policy, parsePolicy } from '../../../domain/witnesses/policy.ts'
import { AppError } from '../../../error.ts'
import type { CommandInput, Flag } from '../../command.ts'
import { type AuditReport, listFirst, type VerificationProgress } from '../../control/auditVerification.ts'
import { openExport, streamFile } from '../../control/exportDirectory.ts'

/** What an auditor has got from elsewhere than the export. */
export const trustFlags: Readonly<Record<string, Flag>> = {
  vkey: { value: 'KEY', doc: 'Key that "audittrail audit key" has printed, or a file of them', isRepeatable: true },
  policy: { value: 'FILE', doc: 'Require the cosignatures of this witness policy (tlog-policy)' },
  checkpoint: { value: 'FILE', doc: 'Require that the log continues these checkpoints', isRepeatable: true },
}

const recordsPerTurn = 8192

type Verifier = (onProgress: (progress: VerificationProgress) => void) => Promise<AuditReport>

/** Returns undefined if there is no directory to verify. Throws `usage`. */
export function exportVerifier(directory: string | undefined, flags: CommandInput['flags']): Verifier | undefined {
  if (directory === undefined) {
    const flag = Object.keys(trustFlags).find((name) => flags.has(name))
    if (flag !== undefined) throw new AppError('usage', `--${flag} needs the directory of an export.`)
    return undefined
  }
  const policy = flags.get('policy')?.map(readPolicy)[0]
  const keys = [...(flags.get('vkey') ?? []).flatMap(readKeys), ...(policy?.logs ?? []).map(({ key }) => key)]
  if (keys.length === 0)
    throw new AppError('usage', 'Add --vkey with the key of the log. Take it from the operator, not from the export.')
  const trust: Trust = { keys, policy }
  const paths = flags.get('checkpoint') ?? []
  for (const path of paths) readInput('checkpoint', path, (file) => accessSync(file, constants.R_OK))
  return async (onProgress) => {
    const files = openExport(directory)
    const given: GivenCheckpoint[] = []
    const notes: string[] = []
    for (const path of paths) {
      let skipped = 0
      given.push(...(await readGiven(path, trust, () => skipped++)))
      if (skipped > 0)
        notes.push(`${path} has ${skipped} ${skipped === 1 ? 'part that is' : 'parts that are'} no checkpoint`)
    }
    const report = await listFirst((find) =>
      verifyExport({ files, trust, given }, find, async (checked, size) => {
        onProgress({ checked, size })
        // Lets signals be handled.
        if (checked % recordsPerTurn === 0) await Bun.sleep(0)
      }),
    )
    return { ...report, notes: [...notes, ...report.notes] }
  }
}

function readPolicy(path: string): Policy {
  const parsed = parsePolicy(readInput('policy', path, (file) => readFileSync(file)))
  if ('problem' in parsed) throw new AppError('usage', `--policy: the file is not a policy: ${parsed.problem}.`)
  return parsed.policy
}

function readKeys(value: string): readonly NoteVerifier[] {
  const literal = parseVerifierKey(value)
  if (literal) return [literal]
  const text = readInput('vkey', value, (file) => readFileSync(file, 'utf8'))
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => {
      const key = parseVerifierKey(line)
      if (!key) throw new AppError('usage', '--vkey: the file has a line that is no verifier key (NAME+ID+KEY).')
      return key
    })
}

function readInput<T>(flag: string, path: string, read: (path: string) => T): T {
  try {
    return read(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new AppError('usage', `--${flag}: ${JSON.stringify(path)} cannot be read (${code}).`)
  }
}

/** Reads checkpoints that the auditor has kept: one, or a file of many. Throws `refused`. */
async function readGiven(path: string, trust: Trust, skipped: () => void): Promise<readonly GivenCheckpoint[]> {
  const given: GivenCheckpoint[] = []
  for await (const { note } of readKeptNotes(linesOf(streamFile(path)), skipped)) {
    const label = `${path}: checkpoint ${given.length + 1}`
    const opened = openCheckpoint(note, trust)
    const problem = typeof opened === 'string' ? opened : opened.problems[0]
    if (problem !== undefined) throw new AppError('refused', `${label} ${problem}.`)
    if (typeof opened === 'string') return given
    if (!opened.isSigned) throw new AppError('refused', `${label} is not signed by a given key.`)
    given.push({ ...opened, name: `${label} (size ${opened.size})`, kind: 'given', file: path })
  }
  if (given.length === 0) throw new AppError('refused', `${path} has no checkpoint.`)
  return given
}
