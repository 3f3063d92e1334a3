/**
 * Longer runs of combining marks than any script uses (UAX #15, Stream-Safe Text Format, stops at
 * 30). Normalization sorts them in quadratic time: the 32,000 that fit into one body would block
 * the server for seconds.
 */
const excessiveMarks = /\p{M}{31}/u

/**
 * Returns a password in NFC (RFC 8265 §4.2.2), so that é matches from every keyboard; unchanged if
 * it has such a run.
 */
export function normalizePassword(password: string): string {
  return excessiveMarks.test(password) ? password : password.normalize('NFC')
}
