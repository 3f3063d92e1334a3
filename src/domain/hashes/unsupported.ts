import { withoutPrefix } from './formats.ts'

/** Formats that are recognized but not accepted. The first matching pattern names the hash. */
const unsupported: readonly (readonly [RegExp, string])[] = [
  [/^\$2x?\$/, 'bcrypt in a flawed version ($2$, $2x$)'],
  [/^auth0-password-in-/, 'a hash of a password that was not in UTF-8 (password.encoding)'],
  [/^\$1\$/, 'md5-crypt ($1$)'],
  [/^\$apr1\$/, "Apache's md5-crypt ($apr1$)"],
  [/^\$5\$/, 'sha256-crypt ($5$)'],
  [/^\$6\$/, 'sha512-crypt ($6$)'],
  [/^\$7\$/, 'scrypt in crypt format ($7$)'],
  [/^\$g?y\$/, 'yescrypt ($y$, $gy$)'],
  [/^\$[PH]\$/, 'phpass ($P$, $H$)'],
  [/^\$wp\$/, "WordPress's bcrypt over SHA-384 ($wp$)"],
  [/^\$S\$/, "Drupal's sha512 ($S$)"],
  [/^\$argon2(?:id|i|d)\$(?:m=|v=16\$)/, 'argon2 version 16 (1.0)'],
  [/^\$argon2(?:id|i|d)\$.*(?:keyid|data)=/, 'argon2 with a secret key or associated data (keyid, data)'],
  [/^\$?argon2/, 'argon2 that is malformed or too costly'],
  [/^(?:bcrypt\$)?\$2[aby]\$/, 'bcrypt that is malformed or outside cost 4 to 15'],
  [/^(?:bcrypt_sha256\$|\$bcrypt-sha256\$)/, 'bcrypt over SHA-256 that is malformed or too costly'],
  [/^(?:\$pbkdf2|pbkdf2[_:]|\{PBKDF2)/, 'PBKDF2 that is malformed, too costly, or uses another digest'],
  [/^\$?(?:scrypt[$:]|firebase-scrypt)/, 'scrypt that is malformed or too costly'],
  [
    /^(?:md5|sha1|sha224|sha256|sha384|sha512|unsalted_md5|unsalted_sha1|hmac)\$/,
    'a single-round salted digest (md5$, sha1$, sha256$ …)',
  ],
  [/^(?:plain|plain\$\$|\{(?:PLAIN|CLEARTEXT|NOOP)\})/i, 'a plain-text password'],
  [/^\{CRYPT\}/i, 'LDAP {CRYPT}'],
  [/^\{S?(?:MD5|SHA\d*)\}/i, 'a single-round LDAP digest ({SSHA}, {SHA}, {SMD5} …)'],
  [/^\{/, 'a scheme other than {PBKDF2…}, and {CRYPT}, {BCRYPT} and {ARGON2} with bcrypt or argon2'],
  [/^crypt\$/, 'DES-crypt'],
  [/^[0-9a-f]{32}$/i, 'hexadecimal MD5 or similar'],
  [/^[0-9a-f]{40}$/i, 'hexadecimal SHA-1 or similar'],
  [/^[0-9a-f]{64}$/i, 'hexadecimal SHA-256 or similar'],
  [/^[0-9a-f]{128}$/i, 'hexadecimal SHA-512 or similar'],
  [/^\$[A-Za-z0-9._-]{1,32}\$/, 'an unknown format'],
]

/** Returns the name of an unsupported hash's format; never a part of the hash. */
export function unsupportedHashName(hash: string): string {
  const bare = withoutPrefix(hash)
  const [, name] = unsupported.find(([pattern]) => pattern.test(bare)) ?? []
  return name ?? 'an unknown format, or a plain-text password'
}
