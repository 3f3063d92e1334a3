import { join } from 'node:path'
import { AppError } from '../../../error.ts'
import type { Command, ExitCode } from '../../command.ts'
import { readAuditLog } from '../../control/auditLog.ts'
import { openOutput } from '../../terminal/output.ts'
import { makeDirectory } from '../../terminal/outputDirectory.ts'

export const proof: Command = {
  name: 'audit proof',
  summary: 'Prove that a record is in the audit log',
  details:
    'Writes the record to event-INDEX.json, and its proof to event-INDEX.json.tlog-proof (c2sp.org/tlog-proof) and event-INDEX.json.spicy.',
  arguments: ['INDEX'],
  flags: {
    out: { value: 'DIR', doc: 'Where to write the files (default: the current directory)' },
    personal: { doc: 'Also write the personal texts that the record commits to' },
    force: { doc: 'Replace existing files' },
  },
  run: async (environment, { arguments: [text = ''], flags }): Promise<ExitCode> => {
    if (!/^\d{1,15}$/.test(text)) throw new AppError('usage', 'INDEX must be a number, such as 42.')
    const index = Number(text)
    const record = await readAuditLog(environment, 'proveAudit', { index })
    const files = [
      [`event-${index}.json`, record.leaf],
      [`event-${index}.json.tlog-proof`, record.tlogProof],
      [`event-${index}.json.spicy`, record.spicy],
      ...(flags.has('personal') ? personalFiles(index, record) : []),
    ] as const
    const [directory = '.'] = flags.get('out') ?? []
    makeDirectory(directory)
    for (const [name, content] of files) {
      const path = join(directory, name)
      writeFile(path, content, flags.has('force'))
      environment.stdout(`${path}\n`)
    }
    return 0
  },
}

type Texts = Readonly<Record<'byPrivate' | 'aboutPrivate', string | null>>

/** Their SHA-256, in base64, is the `private` of the record's `by` and `about`. */
function personalFiles(index: number, { byPrivate, aboutPrivate }: Texts): (readonly [string, string])[] {
  return [
    ...(byPrivate === null ? [] : [[`event-${index}.by.json`, byPrivate] as const]),
    ...(aboutPrivate === null ? [] : [[`event-${index}.about.json`, aboutPrivate] as const]),
  ]
}

function writeFile(path: string, content: string, replaces: boolean): void {
  const output = openOutput(path, replaces)
  try {
    output.write(content)
    output.finish()
  } finally {
    output.abandon()
  }
}
