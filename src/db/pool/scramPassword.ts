/**
 * Returns the password as SCRAM hashes it: prepared by SASLprep (RFC 4013), like PostgreSQL does
 * when it stores one. As there, a password that SASLprep rejects is used unchanged.
 */
export async function scramPassword(password: string): Promise<string> {
  // PostgreSQL does not prepare ASCII, control characters included.
  if (!/[^\0-\x7f]/.test(password)) return password
  // PostgreSQL rejects before it normalizes: the few characters newer than Unicode 3.2 that
  // normalize to older ones, such as U+2090, differ here.
  const { saslprep } = await import('@mongodb-js/saslprep')
  try {
    return saslprep(password)
  } catch {
    return password
  }
}
