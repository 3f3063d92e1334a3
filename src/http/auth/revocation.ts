import { Elysia, t } from 'elysia'
import { looksLikeApiKey } from '../../domain/apiKeys/apiKeyFormat.ts'
import { revokePresentedApiKey } from '../../domain/apiKeys/apiKeys.ts'
import type { Deps } from '../../domain/deps.ts'
import { revokeSession } from '../../domain/sessions/sessions.ts'
import { described, formBody, formRefusals } from '../input/form.ts'
import { silentOperation } from '../operation.ts'
import type { AccessTokens } from '../tokens/accessTokens.ts'
import type { RefreshTokens } from '../tokens/refreshTokens.ts'

const RevokeForm = t.Object({
  token: t.String({ minLength: 1, description: 'a refresh token, an access token, or an API key' }),
  token_type_hint: described('accepted, and without effect'),
})

export interface RevocationServices {
  readonly deps: Deps
  readonly tokens: AccessTokens
  readonly refreshTokens: RefreshTokens
}

/** RFC 7009: whoever holds a token or a key may end it, and needs nothing else for that. */
export function revocationRoute({ deps, tokens, refreshTokens }: RevocationServices) {
  const revoke = async (token: string): Promise<void> => {
    if (looksLikeApiKey(token)) return revokePresentedApiKey(deps, token)
    const holder = refreshTokens.read(token)?.sessionId
    const sessionId = holder ?? (tokens.verify(token) ?? (await tokens.verifyByNewKey(token)))?.sid
    if (sessionId) await revokeSession(deps, sessionId)
  }
  return new Elysia({ name: 'revocation' }).post(
    '/auth/revoke',
    async ({ body }) => {
      await revoke(body.token)
      return new Response(null, { status: 200 })
    },
    {
      ...formBody,
      body: RevokeForm,
      ...silentOperation(
        {
          operationId: 'revoke',
          tag: 'Stay in and get out',
          summary: 'End the session of a token, or an API key',
          description: 'RFC 7009. Answers 200 for a token that is not valid too: what was wanted is so.',
          refusals: [...formRefusals],
          isOauth: true,
        },
        200,
      ),
    },
  )
}
