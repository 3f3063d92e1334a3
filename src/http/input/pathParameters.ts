import { t } from 'elysia'

/** An id in a path: one spelling of a UUID, as it is shown. (The format `uuid` also takes `urn:uuid:…`, which PostgreSQL does not.) */
export const byId = {
  params: t.Object({ id: t.String({ pattern: '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' }) }),
}
