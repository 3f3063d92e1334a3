/** The files of an export of the audit log, by their paths in it. */
export interface ExportFiles {
  /** Returns undefined if there is no such file. Throws `refused` if it cannot be read. */
  read(path: string): Buffer | undefined
  /** Returns the content of a file that may be large. */
  stream(path: string): AsyncIterable<Uint8Array> | undefined
}
