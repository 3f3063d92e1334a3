/**
 * More combining marks in a row than any writing has. Putting them in order takes time by the square of their number: 32,000, which
 * fit into one body, would keep everybody waiting for seconds. Unicode's own bound is 30 (UAX #15, Stream-Safe Text Format).
 */
const longRun = /\p{M}{31}/u

/**
 * A password in one spelling of each character (RFC 8265 §4.2.2: NFC), or é typed on two keyboards would be two passwords. What has
 * such a run in it stays as it was written.
 */
export function normalizePassword(password: string): string {
  return longRun.test(password) ? password : password.normalize('NFC')
}
