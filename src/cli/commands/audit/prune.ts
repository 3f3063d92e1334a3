import { AppError } from '../../../error.ts'
import type { Command, CommandInput, ExitCode } from '../../command.ts'
import type { PruneQuery } from '../../control/auditOperations.ts'
import { perform } from '../../control/perform.ts'
import { requireConfirmation, yes } from '../../terminal/confirmation.ts'
import { parseTime } from './filters.ts'

const day = 86_400_000

export const prune: Command = {
  name: 'audit prune',
  summary: 'Delete old records of the audit log',
  details:
    'Deletes records from the beginning, 256 at a time. The records that remain can still be verified. Without a flag, prunes records older than AUDIT_RETENTION_DAYS.',
  arguments: [],
  flags: {
    before: { value: 'TIME', doc: 'Prune records from before this time: 2026-11-28, or an age such as 365d' },
    below: { value: 'INDEX', doc: 'Prune records below this index' },
    yes,
  },
  run: async (environment, input): Promise<ExitCode> => {
    const range = rangeOf(input, environment.config.auditRetentionDays)
    const which = range.below === undefined ? `from before ${range.before}` : `below record ${range.below}`
    await requireConfirmation(`Delete the records of the audit log ${which} for good?`, input.flags)
    const planned = await perform(environment, 'planPruning', range)
    const { minimumIndex, deleted, isWaiting } = await perform(environment, 'finishPruning', { planned })
    const records = `${deleted.toLocaleString('en')} ${deleted === 1 ? 'record' : 'records'}`
    environment.stdout(
      isWaiting
        ? 'The pruning is recorded. The server deletes the records once its record is in the log.\n'
        : `Pruned ${records}. The audit log begins at record ${minimumIndex}.\n`,
    )
    return 0
  },
}

function rangeOf({ flags }: CommandInput, retentionDays: number): PruneQuery {
  const [before, below] = [flags.get('before')?.[0], flags.get('below')?.[0]]
  if (before !== undefined && below !== undefined) throw new AppError('usage', 'Pass --before or --below, not both.')
  if (below !== undefined) {
    if (!/^\d{1,15}$/.test(below)) throw new AppError('usage', '--below must be the index of a record, such as 1024.')
    return { below: Number(below) }
  }
  if (before !== undefined) return { before: parseTime('before', before, Date.now()) }
  if (retentionDays === 0) throw new AppError('usage', 'Pass --before or --below, or set AUDIT_RETENTION_DAYS.')
  return { before: new Date(Date.now() - retentionDays * day).toISOString() }
}
