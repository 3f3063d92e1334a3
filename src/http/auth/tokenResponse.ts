import { Type } from '@sinclair/typebox'
import { t } from 'elysia'
import type { Session } from '../../domain/sessions/sessions.ts'
import { constrained, named } from '../schema.ts'
import type { AccessTokens } from '../tokens/accessTokens.ts'
import { type RefreshTokens, refreshTokenPattern } from '../tokens/refreshTokens.ts'

/** RFC 6749 §5.1. */
export const TokenResponse = named(
  'Tokens',
  t.Object({
    access_token: constrained(t.String({ description: 'A JWT (RFC 9068).' }), {
      pattern: '^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$',
      minLength: 1,
    }),
    token_type: t.Literal('bearer'),
    // Elysia's own t.Integer would also accept, and document, a string of digits.
    expires_in: constrained(Type.Integer({ description: 'In seconds.' }), { minimum: 0 }),
    refresh_token: t.Optional(
      constrained(t.String({ description: 'Valid for one use. Each refresh returns the next one.' }), {
        pattern: refreshTokenPattern,
      }),
    ),
    scope: t.Optional(t.String()),
  }),
)

export const tokenExample: typeof TokenResponse.static = {
  access_token: 'eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl',
  token_type: 'bearer',
  expires_in: 1800,
}

export const refreshTokenExample = `atr_${'A'.repeat(70)}`

export interface TokenIssuers {
  readonly tokens: AccessTokens
  readonly refreshTokens: RefreshTokens
}

/** Returns a signed access token for a session, and a refresh token if the session has one. */
export async function issueTokens(
  { tokens, refreshTokens }: TokenIssuers,
  session: Session,
): Promise<typeof TokenResponse.static> {
  const response = {
    access_token: await tokens.sign(session),
    token_type: 'bearer' as const,
    expires_in: session.expiresIn,
  }
  const { id: sessionId, refreshGeneration: generation } = session
  if (generation === null) return response
  return { ...response, refresh_token: refreshTokens.make({ sessionId, generation }), scope: 'offline_access' }
}
