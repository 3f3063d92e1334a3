import type { Database } from '../../db/database.ts'
import type { AuditKeys } from '../audit/auditKeys.ts'
import { isOfKey, splitNote } from '../transparency/signedNote.ts'
import { cosignedAt } from '../witnesses/cosignature.ts'
import { openCosigned, type Policy } from '../witnesses/policy.ts'
import { newestWithQuorum } from '../witnesses/quorum.ts'

/** Returns the name of a witness whose line in a checkpoint is wrong. */
export function wrongCosigner(note: string, { witnesses }: Policy): string | undefined {
  const { text = '', signatures = [] } = splitNote(note) ?? {}
  const isWrong = ({ key }: Policy['witnesses'][number]) =>
    signatures.some((line) => isOfKey(line, key) && cosignedAt(key, text, line) === undefined)
  return witnesses.find(isWrong)?.name
}

/** Returns what the witnesses have cosigned, as a note. */
export async function noteOfWitnesses(
  audit: Database['audit'],
  policy: Policy,
  keys: AuditKeys,
  origin: string,
): Promise<string> {
  const newest = await newestWithQuorum({ audit }, policy, keys, origin)
  const opened = newest && openCosigned(newest.note, policy, keys.signersFor(origin))
  if (!opened) return 'no checkpoint has the cosignatures that AUDIT_WITNESSES requires'
  const times = opened.cosignatures.map(({ time }) => new Date(time * 1000).toISOString())
  const at = times.length === 0 ? '' : `, at ${times.sort()[0]}`
  return `a quorum of witnesses has cosigned the first ${newest.size.toLocaleString('en')} records${at}`
}
