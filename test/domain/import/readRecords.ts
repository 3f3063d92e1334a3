import type { ImportFormat } from '../../../src/domain/import/recordSplitter.ts'
import { readRecords } from '../../../src/domain/import/records.ts'

/** Reads every record of a file that arrives in chunks of that many bytes. */
export async function read(
  text: string | Uint8Array,
  format: ImportFormat,
  chunk = 7,
  isOfRealms = false,
): Promise<string[]> {
  const bytes = Buffer.from(text)
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += chunk) yield bytes.subarray(at, at + chunk)
  }
  const found: string[] = []
  for await (const records of readRecords(chunks(), format, isOfRealms)) {
    for (const record of records)
      found.push(`${record.place}: ${'error' in record ? record.error : JSON.stringify(record.fields)}`)
  }
  return found
}

/** Cuts the text into chunks at arbitrary bytes, like a pipe. */
export async function* chunksOf(text: string | Uint8Array): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += 997) yield bytes.subarray(at, at + 997)
}
