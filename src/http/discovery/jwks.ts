import { Elysia, t } from 'elysia'
import type { KeyRing } from '../../domain/keys/keyRing.ts'
import { publishedKeysMaxAge } from '../../domain/keys/signingKeys.ts'
import { operation } from '../operation.ts'

/** Members that are not listed here are never sent, private ones included. */
const PublicKey = t.Object({
  kty: t.UnionEnum(['OKP', 'EC', 'RSA']),
  use: t.Literal('sig'),
  alg: t.UnionEnum(['EdDSA', 'ES256', 'RS256']),
  kid: t.String({ description: 'RFC 7638 thumbprint of the key.' }),
  crv: t.Optional(t.String()),
  x: t.Optional(t.String()),
  y: t.Optional(t.String()),
  n: t.Optional(t.String()),
  e: t.Optional(t.String()),
})

const KeySet = t.Object({ keys: t.Array(PublicKey) })

/** Shorter than the time between a key's publication and its first signature. */
export const publicCaching = `public, max-age=${publishedKeysMaxAge}`

/** RFC 7517 §5. Sent as application/json, which every client accepts. */
export function jwksRoute(keyRing: KeyRing) {
  return new Elysia({ name: 'jwks' }).get(
    '/.well-known/jwks.json',
    async ({ set }) => {
      const keys = await keyRing.listPublicKeys()
      set.headers['cache-control'] = publicCaching
      return { keys: [...keys] }
    },
    operation({
      operationId: 'publicKeys',
      tag: 'Keys',
      summary: 'List the public keys that verify tokens',
      description:
        'Empty unless `ALGORITHM` is EdDSA, ES256 or RS256. A key is listed before it signs its first token and until the last ' +
        'token it signed has expired.',
      schema: KeySet,
      example: {
        keys: [
          {
            kty: 'OKP' as const,
            use: 'sig' as const,
            alg: 'EdDSA' as const,
            kid: 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
            crv: 'Ed25519',
            x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
          },
        ],
      },
      errors: ['unavailable'],
    }),
  )
}
