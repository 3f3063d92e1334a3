import { Elysia, t } from 'elysia'
import type { Deps } from '../../domain/deps.ts'
import { refreshSession, type Session } from '../../domain/sessions/sessions.ts'
import { AppError } from '../../error.ts'
import type { RequestContexts } from '../edge/requestContext.ts'
import { recording } from '../edge/source.ts'
import { formBody, formErrors, optionalField } from '../input/form.ts'
import { operation } from '../operation.ts'
import { ignoredClientFields, requireGrantType } from './tokenRequest.ts'
import { issueTokens, refreshTokenExample, type TokenIssuers, TokenResponse, tokenExample } from './tokenResponse.ts'

const RefreshForm = t.Object({
  refresh_token: t.String({ minLength: 1 }),
  grant_type: optionalField('`refresh_token` (the default).', 'refresh_token'),
  ...ignoredClientFields,
})

export interface RefreshServices extends TokenIssuers {
  readonly deps: Deps
  readonly requestContexts: RequestContexts
}

export function refreshRoute(services: RefreshServices) {
  return new Elysia({ name: 'refresh' }).post(
    '/auth/refresh',
    async ({ body, request }) => {
      requireGrantType(body.grant_type, ['refresh_token'])
      return issueTokens(services, await refresh(services, body.refresh_token, request))
    },
    {
      ...formBody,
      body: RefreshForm,
      ...operation({
        operationId: 'refresh',
        tag: 'Sessions',
        summary: 'Refresh an access token',
        description:
          'Exchanges a refresh token for a new access token and the next refresh token. A refresh token is valid for one ' +
          'use. If the response is lost, retry within ten seconds to get the same successor. Using an older token ends the ' +
          'session, because the token may have been stolen.',
        schema: TokenResponse,
        example: { ...tokenExample, refresh_token: refreshTokenExample, scope: 'offline_access' },
        errors: [...formErrors, 'unsupported_grant_type', 'invalid_grant'],
        isOauth: true,
      }),
    },
  )
}

/** Returns the refreshed session. Throws `invalid_grant` if the refresh token is not valid. */
export function refresh(
  { deps, refreshTokens, requestContexts }: RefreshServices,
  refreshToken: string,
  request: Request,
): Promise<Session> {
  const token = refreshTokens.read(refreshToken)
  if (!token) {
    deps.metrics.refresh('invalid')
    throw new AppError('invalid_grant', 'The refresh token is invalid, expired or revoked. Sign in again.')
  }
  return refreshSession(recording(deps, requestContexts, request), token, requestContexts.of(request).address)
}
