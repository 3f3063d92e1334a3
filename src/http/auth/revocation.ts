import { Elysia, t } from 'elysia'
import { looksLikeApiKey } from '../../domain/apiKeys/apiKeyFormat.ts'
import { revokePresentedApiKey } from '../../domain/apiKeys/apiKeys.ts'
import type { Deps } from '../../domain/deps.ts'
import { revokeSession } from '../../domain/sessions/sessions.ts'
import type { RequestContexts } from '../edge/requestContext.ts'
import { recording } from '../edge/source.ts'
import { formBody, formErrors, optionalField } from '../input/form.ts'
import { emptyOperation } from '../operation.ts'
import type { AccessTokens } from '../tokens/accessTokens.ts'
import type { RefreshTokens } from '../tokens/refreshTokens.ts'

const RevokeForm = t.Object({
  token: t.String({ minLength: 1, description: 'A refresh token, an access token or an API key.' }),
  token_type_hint: optionalField('Accepted and ignored.'),
})

export interface RevocationServices {
  readonly deps: Deps
  readonly tokens: AccessTokens
  readonly refreshTokens: RefreshTokens
  readonly requestContexts: RequestContexts
}

/** RFC 7009. Needs no credentials besides the token or API key. */
export function revocationRoute({ deps: general, tokens, refreshTokens, requestContexts }: RevocationServices) {
  const revoke = async (token: string, request: Request): Promise<void> => {
    const deps = recording(general, requestContexts, request, { kind: 'anonymous' })
    if (looksLikeApiKey(token)) return revokePresentedApiKey(deps, token)
    const refreshToken = refreshTokens.read(token)
    const claims = refreshToken ? undefined : (tokens.verify(token) ?? (await tokens.verifyByNewKey(token)))
    const sessionId = refreshToken?.sessionId ?? claims?.sid
    if (sessionId) await revokeSession(deps, sessionId)
  }
  return new Elysia({ name: 'revocation' }).post(
    '/auth/revoke',
    async ({ body, request }) => {
      await revoke(body.token, request)
      return new Response(null, { status: 200 })
    },
    {
      ...formBody,
      body: RevokeForm,
      ...emptyOperation(
        {
          operationId: 'revoke',
          tag: 'Sessions',
          summary: 'Revoke a token or an API key',
          description:
            'RFC 7009. Ends the session of a token, or revokes an API key. Returns 200 for invalid tokens too.',
          errors: [...formErrors],
          isOauth: true,
        },
        200,
      ),
    },
  )
}
