import { isOfKey, type NoteVerifier, openNote, parseVerifierKey, splitNote } from '../transparency/signedNote.ts'
import { cosignedAt, parseWitnessKey } from './cosignature.ts'

/** Which logs and witnesses must have signed a checkpoint (c2sp.org/tlog-policy). */
export interface Policy {
  /** May be empty, if the log is known otherwise. */
  readonly logs: readonly PolicyLog[]
  readonly witnesses: readonly Witness[]
  /** Returns whether these witnesses of the policy are enough. */
  isQuorum(witnesses: ReadonlySet<Witness>): boolean
}

export interface PolicyLog {
  readonly key: NoteVerifier
  readonly url: string | undefined
}

export interface Witness {
  /** The name in the policy. The key has another one. */
  readonly name: string
  readonly key: NoteVerifier
  readonly url: string | undefined
}

export type ParsedPolicy = { readonly policy: Policy } | { readonly problem: string }

/** Returns whether a component of the quorum has witnessed a checkpoint. */
type Component = (cosigned: ReadonlySet<Witness>) => boolean

interface Draft {
  readonly logs: PolicyLog[]
  readonly witnesses: Witness[]
  readonly components: Map<string, Component>
  /** The names that are members of a group. */
  readonly members: Set<string>
  quorum: Component | undefined
}

const maxLength = 1_000_000
const predefined = 'none'

/** Parses a policy file. A problem names the line, and no value of it. */
export function parsePolicy(file: Uint8Array): ParsedPolicy {
  if (file.length > maxLength) return { problem: `it has more than ${maxLength} bytes` }
  const draft: Draft = { logs: [], witnesses: [], components: new Map(), members: new Set(), quorum: undefined }
  // Names are opaque octets, so the text has one character per octet.
  const lines = Buffer.from(file).toString('latin1').split('\n')
  for (const [at, line] of lines.entries()) {
    const problem = /[^\t -~\x80-\xff]/.test(line) ? 'has a control character' : addLine(draft, line)
    if (problem !== undefined) return { problem: `line ${at + 1} ${problem}` }
  }
  const { logs, witnesses, quorum } = draft
  return quorum ? { policy: { logs, witnesses, isQuorum: quorum } } : { problem: 'it has no quorum line' }
}

/** Returns what is wrong with the line. */
function addLine(draft: Draft, line: string): string | undefined {
  const [keyword = '', ...items] = line.split(/[\t ]+/).filter((item) => item !== '')
  if (keyword === '' || keyword.startsWith('#')) return undefined
  switch (keyword) {
    case 'log':
      return addLog(draft, items)
    case 'witness':
      return addWitness(draft, items)
    case 'group':
      return addGroup(draft, items)
    case 'quorum':
      return setQuorum(draft, items)
    default:
      return 'begins with none of log, witness, group and quorum'
  }
}

function addLog({ logs }: Draft, [vkey = '', url, ...rest]: readonly string[]): string | undefined {
  if (vkey === '' || rest.length > 0) return 'is not "log VKEY [URL]"'
  const key = parseVerifierKey(toUtf8(vkey))
  if (!key) return 'has a log key that is malformed or not Ed25519 (signature type 0x01)'
  if (logs.some((known) => isSameKey(known.key, key))) return 'has the key of another log'
  logs.push({ key, url: url === undefined ? undefined : toUtf8(url) })
  return undefined
}

function addWitness(draft: Draft, [name = '', vkey = '', url, ...rest]: readonly string[]): string | undefined {
  const { witnesses } = draft
  if (vkey === '' || rest.length > 0) return 'is not "witness NAME VKEY [URL]"'
  const key = parseWitnessKey(toUtf8(vkey))
  if (!key) return 'has a witness key that is malformed or not an Ed25519 cosignature key (signature type 0x04)'
  if (witnesses.some((known) => isSameKey(known.key, key))) return 'has the key of another witness'
  const witness = { name: toUtf8(name), key, url: url === undefined ? undefined : toUtf8(url) }
  const problem = define(draft, name, (cosigned) => cosigned.has(witness))
  if (problem === undefined) witnesses.push(witness)
  return problem
}

function addGroup(draft: Draft, [name = '', threshold = '', ...names]: readonly string[]): string | undefined {
  if (names.length === 0) return 'is not "group NAME all|any|NUMBER MEMBER…"'
  const count = thresholdOf(threshold, names.length)
  if (count === undefined) return `needs all, any, or a number from 1 to ${names.length} before its members`
  const members: Component[] = []
  for (const member of names) {
    const component = draft.components.get(member)
    if (!component) return 'has a member that no earlier line defines'
    if (draft.members.has(member)) return 'has a member that is in a group already'
    draft.members.add(member)
    members.push(component)
  }
  return define(draft, name, (cosigned) => members.filter((isWitnessed) => isWitnessed(cosigned)).length >= count)
}

function thresholdOf(text: string, members: number): number | undefined {
  if (text === 'all') return members
  if (text === 'any') return 1
  const count = /^[1-9]\d{0,8}$/.test(text) ? Number(text) : 0
  return count >= 1 && count <= members ? count : undefined
}

function setQuorum(draft: Draft, [name = '', ...rest]: readonly string[]): string | undefined {
  if (name === '' || rest.length > 0) return 'is not "quorum NAME"'
  if (draft.quorum) return 'is a second quorum line'
  draft.quorum = name === predefined ? () => true : draft.components.get(name)
  return draft.quorum ? undefined : 'names a quorum that no earlier line defines'
}

function define({ components }: Draft, name: string, component: Component): string | undefined {
  if (name === predefined) return 'defines the name none, which is predefined'
  if (components.has(name)) return 'defines a name that is defined already'
  components.set(name, component)
  return undefined
}

function isSameKey(one: NoteVerifier, other: NoteVerifier): boolean {
  return one.publicKey.equals(other.publicKey)
}

function toUtf8(octets: string): string {
  return Buffer.from(octets, 'latin1').toString('utf8')
}

export interface Cosignature {
  readonly witness: Witness
  /** In seconds since the epoch. */
  readonly time: number
}

export interface CosignedNote {
  /** The text that log and witnesses have signed. */
  readonly text: string
  readonly cosignatures: readonly Cosignature[]
  readonly hasQuorum: boolean
}

/**
 * Verifies the signatures of a checkpoint: that of a log, and those of the witnesses. Undefined if
 * no log signed it, or if a line of a known key is wrong. The logs are those of the policy, unless
 * others are given.
 */
export function openCosigned(
  note: string,
  policy: Policy,
  logs: readonly NoteVerifier[] = policy.logs.map(({ key }) => key),
): CosignedNote | undefined {
  const text = openNote(note, logs)
  if (text === undefined) return undefined
  const cosignatures: Cosignature[] = []
  for (const line of splitNote(note)?.signatures ?? []) {
    const witness = policy.witnesses.find(({ key }) => isOfKey(line, key))
    if (!witness) continue
    const time = cosignedAt(witness.key, text, line)
    if (time === undefined) return undefined
    cosignatures.push({ witness, time })
  }
  const witnesses = new Set(cosignatures.map(({ witness }) => witness))
  return { text, cosignatures, hasQuorum: policy.isQuorum(witnesses) }
}
