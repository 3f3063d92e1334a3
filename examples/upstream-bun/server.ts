// A small API that keeps each user's notes. AuditTrail identifies the user, by a token or through Nginx.

import { type User, userByNginx } from './byNginx.ts'
import { createUserByToken, KeysUnavailable } from './byToken.ts'

const {
  AUTH,
  HOST = '127.0.0.1',
  PORT = '9000',
  AUDITTRAIL_URL = '',
  ISSUER = '',
  AUDIENCE = 'audittrail',
} = process.env

// Explicit, because trusting the headers of Nginx is safe only if nothing else can connect.
if (AUTH !== 'token' && AUTH !== 'nginx') throw new Error('AUTH is "token" or "nginx"')
if (AUTH === 'token' && !(AUDITTRAIL_URL && ISSUER)) throw new Error('AUTH=token needs AUDITTRAIL_URL and ISSUER')
const findUser =
  AUTH === 'nginx' ? userByNginx : createUserByToken(AUDITTRAIL_URL, { issuer: ISSUER, audience: AUDIENCE })

/** By user id, which is never reused. */
const notes = new Map<string, string[]>()

const server = Bun.serve({
  hostname: HOST,
  port: Number(PORT),
  development: false,
  maxRequestBodySize: 10_000,
  async fetch(request) {
    try {
      const user = await findUser(request)
      if (!user) return problem(401, 'Not signed in.', { 'www-authenticate': 'Bearer' })
      return await handle(request, user)
    } catch (error) {
      if (error instanceof KeysUnavailable)
        return problem(503, 'The signing keys are unavailable.', { 'retry-after': '2' })
      console.error(error)
      return problem(500, 'Internal error.')
    }
  },
})
console.log(`listening on ${server.url}`)

async function handle(request: Request, user: User): Promise<Response> {
  const { pathname } = new URL(request.url)
  const ownNotes = notes.get(user.id) ?? []
  if (pathname === '/notes' && request.method === 'GET')
    return Response.json({ username: user.username, roles: user.roles, notes: ownNotes })
  if (pathname === '/notes' && request.method === 'POST') {
    notes.set(user.id, [...ownNotes, (await request.text()).slice(0, 200)].slice(-20))
    return new Response(null, { status: 204 })
  }
  return problem(404, 'Not found.')
}

function problem(status: number, detail: string, headers: Record<string, string> = {}): Response {
  return Response.json({ status, detail }, { status, headers })
}
