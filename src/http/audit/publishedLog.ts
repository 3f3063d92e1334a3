import { Elysia } from 'elysia'
import type { Deps } from '../../domain/deps.ts'
import { publishedHead, readTile } from '../../domain/publishedLog/published.ts'
import { parseTilePath } from '../../domain/transparency/tiles.ts'
import { AppError } from '../../error.ts'
import { type Guards, guardErrors } from '../auth/guard.ts'
import { pathOf } from '../edge/requestTarget.ts'
import { rawOperation } from '../operation.ts'

const noteType = 'text/plain'
const tileType = 'application/octet-stream'
/** A tile of a path never changes. Only its caller's own cache may keep it. */
const tileCaching = 'private, max-age=31536000, immutable'
const logPath = '/audit/log/'

const common = {
  tag: 'Audit log',
  errors: [...guardErrors, 'not_found'],
  isForUsers: true,
  apiKeyAccess: 'audit:read',
} as const

/** The audit log for programs that verify it (c2sp.org/tlog-tiles). */
export function publishedLogRoutes({ deps, guards }: { readonly deps: Deps; readonly guards: Guards }) {
  const respondWithTile = async ({ request }: { readonly request: Request }) => {
    // Undecoded: a tile has one path.
    const path = pathOf(request.url)
    const tile = parseTilePath(path.slice(path.indexOf(logPath) + logPath.length))
    const content = tile && (await readTile(deps, tile))
    if (!content) throw new AppError('not_found', 'The audit log has no such tile at its newest checkpoint.')
    return new Response(Uint8Array.from(content), {
      headers: { 'content-type': tileType, 'cache-control': tileCaching },
    })
  }
  return new Elysia({ name: 'audit.log' })
    .use(guards.auditReader)
    .get(
      `${logPath}checkpoint`,
      async () => {
        const { note } = await publishedHead(deps)
        return new Response(note, { headers: { 'content-type': `${noteType}; charset=utf-8` } })
      },
      rawOperation({
        ...common,
        operationId: 'auditCheckpoint',
        summary: 'Get the checkpoint of the audit log',
        description:
          'The size and root of the log, signed with the key that `audittrail audit key` prints: a signed note of ' +
          'c2sp.org/tlog-checkpoint. With `AUDIT_WITNESSES`, it is the newest with enough cosignatures, and 404 until there is one.',
        contentType: noteType,
        schema: { type: 'string' },
        example:
          'auth.example.com/api/audit/log\n70000\nAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n\n— auth.example.com/api/audit/log NSVdaA…\n',
      }),
    )
    .get(
      `${logPath}tile/:level/:tile`,
      respondWithTile,
      rawOperation({
        ...common,
        operationId: 'auditTile',
        summary: 'Get a tile of the audit log',
        description:
          'The hashes `<L>/<N>[.p/<W>]` or the records `entries/<N>[.p/<W>]` of c2sp.org/tlog-tiles, which are below the size of ' +
          'the checkpoint. The path has more segments for partial tiles and for numbers of four digits, such as `0/x001/234.p/5`. ' +
          'Records have no names and no addresses.',
        contentType: tileType,
        schema: { type: 'string', format: 'binary' },
        example: '',
      }),
    )
    .get(`${logPath}tile/*`, respondWithTile, { detail: { hide: true } })
}
