import { describe, expect, test } from 'bun:test'
import { findPolicyViolation } from '../../../src/domain/passwords/policy.ts'

describe('the password policy', () => {
  test.each(['\n', '\r\n', '\t', '\0', '\u001b', '\u007f', '\u0085', '\u009b'])(
    'rejects a password with the control character %j',
    async (character) => {
      for (const password of [`a long pass phrase 77${character}`, `a long${character}pass phrase 77`, character])
        expect(await findPolicyViolation({ password, username: 'ada' }, 12)).toBe(
          'must not contain line breaks, tabs or other control characters',
        )
    },
  )

  test.each(['a long pass phrase 77', ' blanks around it 77 ', 'naïve 日本語 🔑 密码 77', 'a\u00a0no-break space'])(
    'accepts %j',
    async (password) => {
      expect(await findPolicyViolation({ password, username: 'ada' }, 12)).toBeUndefined()
    },
  )
})
