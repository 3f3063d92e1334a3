import type { SecretKeys } from '../../secretKeys.ts'
import { createSessionTokens, type SessionTokens, sessionTokenLength } from './sessionTokens.ts'

export type RefreshTokens = SessionTokens

const prefix = 'atr_'
export const refreshTokenPattern = `^${prefix}[A-Za-z0-9_-]{${sessionTokenLength}}$`

export function createRefreshTokens(secretKeys: () => SecretKeys): RefreshTokens {
  return createSessionTokens(secretKeys, { prefix, label: 'audittrail refresh token' })
}
