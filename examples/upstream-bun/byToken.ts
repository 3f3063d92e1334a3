import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import type { User } from './byNginx.ts'

/** The keys could not be fetched, so the token cannot be verified. */
export class KeysUnavailable extends Error {}

/** Verifies tokens with the published keys. Returns undefined for invalid tokens; throws `KeysUnavailable`. */
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
      if (isInvalidToken(error)) return undefined
      throw new KeysUnavailable('no keys', { cause: error })
    }
  }
}

/** jose has a code for each invalid token; every other error comes from fetching the keys. */
function isInvalidToken(error: unknown): boolean {
  return error instanceof errors.JOSEError && /^ERR_(JWT|JWS|JOSE_(ALG|NOT)|JWKS_NO_MATCHING)/.test(error.code)
}
