import { t } from 'elysia'

/**
 * A UUID in the path. The format `uuid` would also accept `urn:uuid:…`, which PostgreSQL does not.
 */
export const byId = {
  params: t.Object({ id: t.String({ pattern: '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' }) }),
}
