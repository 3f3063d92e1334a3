import { readUser } from '../../../src/domain/import/importedUser.ts'

/** The password of the hashes below. */
export const password = 'correct horse battery staple'

/** pwdlib 0.3, PasswordHash.recommended(): what current FastAPI templates use. */
export const hashByPwdlib =
  '$argon2id$v=19$m=65536,t=3,p=4$fQSHyUYru9irSpmZGQcL0g$I0UQQt9eDi+Tu/2ShUDCX+wfTdf8V3BlsKDm72te1J4'

/** argon2-cffi 21.1, PasswordHasher(time_cost=3, memory_cost=65536, parallelism=4). */
export const hashByArgon2Cffi = '$argon2id$v=19$m=65536,t=3,p=4$eiGzzdTfxXLq9zKqkOMCbw$VI3RvOqCgwqzM6g67NmU2Q'

/** One hash of each third-party format, with the program and version that made it. */
export const thirdPartyHashes: readonly (readonly [string, string])[] = [
  [
    'Django 5.2.19, PBKDF2PasswordHasher',
    'pbkdf2_sha256$10000$LWpQgMKP6By3tCmi5hRCmy$SnSvv6ie8AmeoK4AB+25GucDLB2yrl5BBjE+nWJlo90=',
  ],
  ['Django 5.2.19, PBKDF2SHA1PasswordHasher', 'pbkdf2_sha1$10000$6lTw4RC4yJ2R44c3JInQyF$S5ClAwBLzB4Cn5u5f5g6k+vS+4U='],
  [
    'Django 5.2.19, BCryptSHA256PasswordHasher',
    'bcrypt_sha256$$2b$05$faqEFbj7998/9Qyp/pMk0e7gdN.XICqPBjYfiF.psjeKhgD5nJnYi',
  ],
  ['Django 5.2.19, BCryptPasswordHasher', 'bcrypt$$2b$05$zqWg73j8pTisFcBcilMwxO7S9ZduLaY.tWUQLdge48.yvnk1gG136'],
  [
    'Django 5.2.19, Argon2PasswordHasher',
    'argon2$argon2id$v=19$m=102400,t=2,p=8$aHdCSk9qczdIaHFvRnFDcmc3OXdJSA$/mY+fKYrOtKcsFPgtRU1dznT0G4B9tUVbfPi8VfFaFs',
  ],
  [
    'Django 5.2.19, ScryptPasswordHasher',
    'scrypt$16384$3XAGMtdfGQNIlEkHKEX1ef$8$5$2SmWpK7vitMYrDoea/ABRNgV3uYHAzFXpFaPKvQfd3cNv/aA9YDP3rYzN1eGIF2ODXh7604LYi3m7Ul6DUH5kQ==',
  ],
  [
    'Werkzeug 3.1.9, scrypt',
    'scrypt:32768:8:1$zxpEbVHrGzYfJosj$c466d71e59c4be54955c4e3a53850b278b49565f3e0682a631c463bffe5c5c8c7d8a7976d6dba354519ee66e7d678ca4cf9408fe2eb46d11621cb1ebb312f92c',
  ],
  [
    'Werkzeug 3.1.9, scrypt of two lanes',
    'scrypt:16384:8:2$GRLHrta4hQanZ6fb$8f65cc93b6fc9a7676bc52f9df5d5c8416bc8756a452424277a0ed7ab45b5c2920c21985a094dc11f1da3547933b4a3bea938b44e547cd7f79fe662d7adf01b8',
  ],
  [
    'Werkzeug 3.1.9, pbkdf2:sha256',
    'pbkdf2:sha256:20000$zgdp2k0MwyDHZYNE$49af3bda36850d49b58796611ed65d65c0b43d19fea48abfff6769b6c2037307',
  ],
  ['Werkzeug 3.1.9, pbkdf2:sha1', 'pbkdf2:sha1:20000$Wl0Cwdl9Qz6xNzyD$88d78731d1aecf899fe6f9a1eb85407cc33e61bb'],
  [
    'Werkzeug 3.1.9, pbkdf2:sha512',
    'pbkdf2:sha512:20000$W0FkWNFRUfCmKaRw$52ee18f76f15aa6d53187d1d9a40fe650ab5014671e988ebe3c7edf1744a6469568a4aa2245334539b44cb722e2ab07c50a66082b93433cefad3025e97f2d59c',
  ],
  ['passlib 1.7.4, pbkdf2_sha1', '$pbkdf2$20000$jBFC6N2bc47xHkOIMYZQ6g$YuilFF9MQzhKWgUL2uilE73ONsQ'],
  [
    'passlib 1.7.4, pbkdf2_sha256',
    '$pbkdf2-sha256$20000$2JtTypkzZqy19h4DQIhR6g$5ijsjGicbJs9zzWm5o0iTq9caxjTV6tYggyPvs4RRGI',
  ],
  [
    'passlib 1.7.4, pbkdf2_sha512',
    '$pbkdf2-sha512$20000$mxPinPOecw7B.B/D.J9zDg$pa03W9alnmOC.Md3pYfUoPED2DI8xoCqlaJQA.n19nE93Cuu3y8KuScnJjlloEL1nLY2KbPRENRW3gGjKO4e/g',
  ],
  [
    'passlib 1.7.4, ldap_pbkdf2_sha256',
    '{PBKDF2-SHA256}20000$z7k3BqAUwnhPqbW2FgJAyA$vvTiqQdDW7o11EiGM5GVTjakjtwX1QwCi2CHoubbNM0',
  ],
  [
    'passlib 1.7.4, bcrypt_sha256',
    '$bcrypt-sha256$v=2,t=2b,r=5$/RywcL/E4ZkPJMU0l3.TRu$7TW2ScwBCqkRFM6b6J0xSLDQSRvIaNW',
  ],
  [
    'passlib 1.7.4, bcrypt_sha256 of version 1',
    '$bcrypt-sha256$2b,5$iA0/QHA4FhfnJoqACqa3hO$A9C0c0QQqyRM3gCR.2uQ2nXSY8/70Ci',
  ],
  ['passlib 1.7.4, scrypt', '$scrypt$ln=14,r=8,p=1$j9E6x3iPESKkdA5hrPXeOw$u5TpUOWl5KbkzVVvZSwtTrtdg2BDeHu8V61stl8+J8k'],
  [
    'passlib 1.7.4, argon2i',
    '$argon2i$v=19$m=65536,t=3,p=4$gnCutXZOyfnfm9Nai9E6Zw$1AFd1OK1aIWPS/YtVFfZhnu7ENds0vJf+60lnANs9r8',
  ],
  [
    'passlib 1.7.4, argon2d',
    '$argon2d$v=19$m=65536,t=3,p=4$5pzz3ts751xrLWXMea8VIg$Aio/lt0KKM4KvW3hzBDSEXJptJUeppk36GjU+Yng0jc',
  ],
  ['PHP 8.2.36, PASSWORD_BCRYPT', '$2y$05$zi3Af9NgFe1WuAIifb6CquYSAHpiBilfuKKDMeKu0KsYqFwWQ5SjC'],
  [
    'PHP 8.2.36, PASSWORD_ARGON2ID of two lanes',
    '$argon2id$v=19$m=8192,t=1,p=2$WVhWOVUzSXdLODVoTUR1WA$ewNZFz8O8W4kVKewt23ung5s9gIrbGlHhQhNA9WBcIU',
  ],
]

/** The example in the README of github.com/firebase/scrypt. The password is `user1password`. */
export const firebaseExample = {
  config: `hash_config {
    algorithm: SCRYPT,
    base64_signer_key: jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==,
    base64_salt_separator: Bw==,
    rounds: 8,
    mem_cost: 14,
  }`,
  user: {
    localId: 'VwN1bOqSCxVnQpJeuBQBOXBaMiE3',
    email: 'user1@example.com',
    passwordHash: 'lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==',
    salt: '42xEC+ixf3L2lw==',
    createdAt: '1486324233000',
  },
} as const

/**
 * A credential of Keycloak 9 whose password is `admin` (dev.to/oskarspakers, "Import PBKDF2 hashed
 * user passwords into Keycloak").
 */
export const keycloakExample = {
  type: 'password',
  credentialData: '{"hashIterations": 27500,"algorithm": "pbkdf2-sha256"}',
  secretData: '{"salt": "x/bm4Y3DcuV9eU97ervkPA==","value": "1u7BLvfSPxQFpwc5jpGSA+88EGl9pZYKhaZ8YPIu9N4="}',
} as const

/** The hash that an import would store for a record. */
export function storedHash(fields: Record<string, unknown> | undefined): string {
  const read = readUser(fields ?? {})
  if (!('user' in read)) throw new Error(read.errors.join('; '))
  return read.user.hashed_password
}
