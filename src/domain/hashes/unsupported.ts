/** Formats that are known and not taken, by how they begin or look. The first that fits names the hash. */
const refused: readonly (readonly [RegExp, string])[] = [
  [/^\$2x?\$/, 'bcrypt of a version with a known flaw ($2$, $2x$)'],
  [/^auth0-password-in-/, 'of a password that was not in UTF-8 (password.encoding)'],
  [/^\$1\$/, 'md5-crypt ($1$)'],
  [/^\$apr1\$/, "Apache's md5-crypt ($apr1$)"],
  [/^\$5\$/, 'sha256-crypt ($5$)'],
  [/^\$6\$/, 'sha512-crypt ($6$)'],
  [/^\$7\$/, 'scrypt in the spelling of crypt ($7$)'],
  [/^\$g?y\$/, 'yescrypt ($y$, $gy$)'],
  [/^\$[PH]\$/, 'phpass ($P$, $H$)'],
  [/^\$wp\$/, "WordPress's bcrypt over SHA-384 ($wp$)"],
  [/^\$S\$/, "Drupal's sha512 ($S$)"],
  [/^\$argon2(?:id|i|d)\$(?:m=|v=16\$)/, 'argon2 of version 16 (1.0)'],
  [/^\$argon2(?:id|i|d)\$.*(?:keyid|data)=/, 'argon2 with a secret key or associated data (keyid, data)'],
  [/^\$?argon2/, 'argon2 that is malformed, or dearer than AuditTrail computes'],
  [/^(?:bcrypt\$)?\$2[aby]\$/, 'bcrypt that is malformed, or dearer than AuditTrail computes (cost 4 to 15)'],
  [
    /^(?:bcrypt_sha256\$|\$bcrypt-sha256\$)/,
    'bcrypt over SHA-256 that is malformed, or dearer than AuditTrail computes',
  ],
  [
    /^(?:\$pbkdf2|pbkdf2[_:]|\{PBKDF2)/,
    'PBKDF2 that is malformed, of another digest, or dearer than AuditTrail computes',
  ],
  [/^\$?(?:scrypt[$:]|firebase-scrypt)/, 'scrypt that is malformed, or dearer than AuditTrail computes'],
  [
    /^(?:md5|sha1|sha224|sha256|sha384|sha512|unsalted_md5|unsalted_sha1|hmac)\$/,
    'a salted digest computed once (md5$, sha1$, sha256$ …)',
  ],
  [/^(?:plain|plain\$\$|\{PLAIN\}|\{CLEARTEXT\})/i, 'a password in plain text'],
  [/^\{CRYPT\}/i, "LDAP's {CRYPT}"],
  [/^\{S?(?:MD5|SHA\d*)\}/i, "LDAP's digest computed once ({SSHA}, {SHA}, {SMD5} …)"],
  [/^\{/, 'an LDAP scheme other than {PBKDF2…}'],
  [/^crypt\$/, 'DES-crypt'],
  [/^[0-9a-f]{32}$/i, 'an MD5 in hexadecimal, or the like'],
  [/^[0-9a-f]{40}$/i, 'a SHA-1 in hexadecimal, or the like'],
  [/^[0-9a-f]{64}$/i, 'a SHA-256 in hexadecimal, or the like'],
  [/^[0-9a-f]{128}$/i, 'a SHA-512 in hexadecimal, or the like'],
  [/^\$[A-Za-z0-9._-]{1,32}\$/, 'of a format that AuditTrail does not know'],
]

/** What a hash is that is not taken, by name and without a part of it. */
export function unsupportedHashName(hash: string): string {
  const [, name] = refused.find(([pattern]) => pattern.test(hash)) ?? []
  return name ?? 'of a format that AuditTrail does not know, or a password in plain text'
}
