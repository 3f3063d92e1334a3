import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import type { User } from './byNginx.ts'

/** The keys cannot be had, so that nobody can say whether the token is good. */
export class NotNow extends Error {}

/** Verifies tokens by the published keys; undefined for every token that opens nothing. Throws `NotNow`. */
export function createUserByToken(url: string, { issuer, audience }: { issuer: string; audience: string }) {
  const keys = createRemoteJWKSet(new URL(`${url}/.well-known/jwks.json`))
  const checks = {
    algorithms: ['EdDSA'],
    issuer,
    audience,
    typ: 'at+jwt',
    requiredClaims: ['exp', 'sub', 'uid', 'roles'],
  }

  return async ({ headers }: Request): Promise<User | undefined> => {
    const [, token] = /^Bearer +([^ ,]+)$/i.exec(headers.get('authorization') ?? '') ?? []
    if (token === undefined) return undefined
    try {
      const { payload } = await jwtVerify(token, keys, checks)
      return { id: String(payload.uid), username: String(payload.sub), roles: payload.roles as string[] }
    } catch (error) {
      if (isAboutToken(error)) return undefined
      throw new NotNow('no keys', { cause: error })
    }
  }
}

/** jose has one code for each failure; all else is about fetching the keys. */
function isAboutToken(error: unknown): boolean {
  return error instanceof errors.JOSEError && /^ERR_(JWT|JWS|JOSE_(ALG|NOT)|JWKS_NO_MATCHING)/.test(error.code)
}
