import { type Files, type SampleOptions, type SampleRecord, sampleExport, sampleRecords } from './sampleLog.ts'

/** An export, what the auditor has, and what verification prints about them. */
export interface Vector {
  readonly name: string
  readonly files: Files
  /** Defaults to the key of the sample log. */
  readonly vkeys?: readonly string[]
  readonly policy?: string
  /** Notes of one file that the auditor has kept. */
  readonly checkpoints?: readonly string[]
  readonly findings: readonly string[]
  /** Notes, but for that nothing from outside was given. */
  readonly notes?: readonly string[]
}

export const kept = [1, 3, 6]
export const six: readonly SampleRecord[] = sampleRecords(6)

/** Returns an export of six records whose files the changes have replaced or removed. */
export function changed(...changes: readonly Change[]): Files {
  return changedExport(sampleExport(six, { kept }), ...changes)
}

export function changedExport(files: Files, ...changes: readonly Change[]): Files {
  for (const [path, change] of changes) {
    const content = files.get(path)
    if (!content) throw new Error(`There is no file ${path}.`)
    const after = change(content)
    if (after) files.set(path, after)
    else files.delete(path)
  }
  return files
}

type Change = readonly [path: string, change: (content: Buffer) => Buffer | undefined]

export const removed = (path: string): Change => [path, () => undefined]
export const cut = (path: string, bytes: number): Change => [path, (content) => content.subarray(0, -bytes)]

/** Flips the lowest bit of a byte. Negative: from the end. */
export function flipped(path: string, at: number): Change {
  return [
    path,
    (content) => {
      const copy = Buffer.from(content)
      const position = at < 0 ? copy.length + at : at
      copy[position] = (copy[position] ?? 0) ^ 1
      return copy
    },
  ]
}

/** Replaces a text by another of any length. */
export function replaced(path: string, from: string, to: string): Change {
  return [
    path,
    (content) => {
      const at = content.indexOf(from)
      if (at < 0) throw new Error(`${path} does not contain the text.`)
      return Buffer.concat([content.subarray(0, at), Buffer.from(to), content.subarray(at + Buffer.byteLength(from))])
    },
  ]
}

/** Returns what findings call a record. */
export function named(index: number, { leaf }: SampleRecord = six[index] as SampleRecord): string {
  const { time, type } = JSON.parse(leaf)
  return `record ${index} (${time} ${type})`
}

/** Returns the six records with some replaced. */
export function withRecords(replacements: Readonly<Record<number, SampleRecord>>): SampleRecord[] {
  return six.map((record, index) => replacements[index] ?? record)
}

interface Original extends SampleOptions {
  /** Defaults to the six records. */
  readonly original?: readonly SampleRecord[]
}

/** Returns an export of other records that has kept the checkpoints of the original. */
export function rewritten(
  records: readonly SampleRecord[],
  { original = six, ...options }: Original = { kept },
): Files {
  const before = sampleExport(original, options)
  const files = sampleExport(records, options)
  for (const path of ['checkpoint', 'checkpoints']) files.set(path, before.get(path) as Buffer)
  return files
}
