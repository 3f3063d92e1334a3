import { describe, expect, test } from 'bun:test'
import { readUser } from '../../../src/domain/import/importedUser.ts'

describe('an unsupported hash', () => {
  test.each([
    ['$1$salt$J9PNfSrNMjKVKBDUwBLF91', 'md5-crypt ($1$)'],
    ['$apr1$salt$xxj3d3Ue1gQOTmEkyLHe20', "Apache's md5-crypt ($apr1$)"],
    ['$5$salt$hash', 'sha256-crypt ($5$)'],
    ['$6$salt$hash', 'sha512-crypt ($6$)'],
    ['$y$j9T$salt$hash', 'yescrypt'],
    ['$P$B12345678', 'phpass'],
    ['$wp$2y$10$abc', 'WordPress'],
    ['$2x$05$abc', 'flawed'],
    ['$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ', 'version 16'],
    ['$argon2id$v=19$m=8192,t=1,p=1,data=Zm9v$c2FsdHNhbHQ$c2FsdHNhbHQ', 'associated data'],
    ['sha1$salt$0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33', 'single-round'],
    ['md5$salt$0123', 'single-round'],
    ['{SSHA}DkMTwBl+a/3DQTxCYEApdUtNXGgdUac3', '{SSHA}'],
    ['{PLAIN}secret', 'plain-text'],
    ['{noop}secret-word', 'plain-text'],
    ['{CRYPT}$6$salt$hash', 'sha512-crypt ($6$)'],
    ['{CRYPT}abJnggxhB/yWI', 'LDAP {CRYPT}'],
    ['{bcrypt}$2a$99$abcdefgh', 'bcrypt that is malformed'],
    ['{argon2}$argon2id$v=19$m=1', 'argon2 that is malformed'],
    ['{scrypt}$e0801$0123456789abcdef', 'a scheme other than'],
    ['5f4dcc3b5aa765d61d8327deb882cf99', 'MD5'],
    ['5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8', 'SHA-1'],
    ['hunter2', 'plain-text'],
    ['$made-up$1$2', 'unknown format'],
  ])('(%s) is named as %s, without quoting it', (hash, name) => {
    const read = readUser({ username: 'ada', hashed_password: hash })
    const [error = ''] = 'errors' in read ? read.errors : []
    expect(error).toContain(name)
    expect(error).not.toContain(hash.slice(-8))
  })
})
