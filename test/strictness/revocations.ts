import { expectSuccess, failureOf, type Sent, type Session, send, signIn } from './client.ts'

/** Returns whether a replica accepts the credential. Throws on anything but a clear decision. */
export type Probe = (url: string) => Promise<boolean>

/** A credential that both replicas accept, and the request that ends that. */
export interface Revocable {
  /** Repeated by the clients that use the credential at the time. */
  readonly uses: readonly Probe[]
  /** Sent only after the revocation. */
  readonly laterUses: readonly Probe[]
  readonly revocation: Sent
  /** Makes the account as it was. Undefined if the revocation did not change it. */
  readonly restore?: () => Promise<unknown>
}

/** One of the clients, with an account of its own. */
export interface Account {
  readonly username: string
  id: string
  password: string
}

export interface Administration {
  readonly url: string
  readonly token: string
  /** An API key with the scope `introspect`. */
  readonly introspector: string
}

export const role = 'staff'

type Prepare = (administration: Administration, account: Account) => Promise<Revocable>

/** What takes a credential's rights away, and how to get one that still has them. */
export const revocations: Readonly<Record<string, Prepare>> = {
  'a logout': ofSession((session) => ({ method: 'POST', path: '/auth/logout', credential: session.accessToken })),
  'the end of a session': ofSession((session) => ({
    method: 'DELETE',
    path: `/auth/sessions/${session.id}`,
    credential: session.accessToken,
  })),
  'the revocation of an access token': ofSession((session) => ({
    method: 'POST',
    path: '/auth/revoke',
    form: { token: session.accessToken },
  })),
  'the revocation of a refresh token': ofSession((session) => ({
    method: 'POST',
    path: '/auth/revoke',
    form: { token: session.refreshToken },
  })),
  'the end of all sessions by an administrator': ofSession((_session, { token }, { id }) => ({
    method: 'DELETE',
    path: `/users/${id}/sessions`,
    credential: token,
  })),
  'disabling the user': disabling,
  'deleting the user': deleting,
  'a password change': changingPassword,
  'a password reset': ofSession((_session, { token }, account) => ({
    method: 'POST',
    path: `/users/${account.id}/password`,
    credential: token,
    json: { password: account.password, must_change_password: false },
  })),
  'removing the role': removingRole,
  'the revocation of an API key': revokingKey,
}

function ofSession(
  revocationOf: (session: Session, administration: Administration, account: Account) => Sent,
): Prepare {
  return async (administration, account) => {
    const session = await signIn(administration.url, account.username, account.password)
    return {
      uses: [
        accepts({ path: '/auth/me', credential: session.accessToken }),
        accepts({ path: '/auth/verify', credential: session.accessToken }),
        accepts({ path: `/auth/verify?role=${role}`, credential: session.accessToken }),
        isActive(administration, session.accessToken),
      ],
      laterUses: [
        accepts({ path: '/auth/session', credential: session.accessToken }),
        accepts({ path: '/auth/sessions', credential: session.accessToken }),
        accepts({ method: 'POST', path: '/auth/refresh', form: { refresh_token: session.refreshToken } }),
        isActive(administration, session.refreshToken),
      ],
      revocation: revocationOf(session, administration, account),
    }
  }
}

async function disabling(administration: Administration, account: Account): Promise<Revocable> {
  const change = { method: 'PATCH', path: `/users/${account.id}`, credential: administration.token }
  const revocable = await ofSession(() => ({ ...change, json: { is_active: false } }))(administration, account)
  return { ...revocable, restore: () => expectSuccess(administration.url, { ...change, json: { is_active: true } }) }
}

async function deleting(administration: Administration, account: Account): Promise<Revocable> {
  const revocation = { method: 'DELETE', path: `/users/${account.id}`, credential: administration.token }
  const revocable = await ofSession(() => revocation)(administration, account)
  return { ...revocable, restore: () => addUser(administration, account) }
}

async function changingPassword(administration: Administration, account: Account): Promise<Revocable> {
  const { accessToken } = await signIn(administration.url, account.username, account.password)
  const passwords = { current_password: account.password, new_password: newPassword() }
  const revocable = await ofSession(() => ({
    method: 'POST',
    path: '/auth/password',
    credential: accessToken,
    json: passwords,
  }))(administration, account)
  account.password = passwords.new_password
  return revocable
}

async function removingRole(administration: Administration, account: Account): Promise<Revocable> {
  const { accessToken: credential } = await signIn(administration.url, account.username, account.password)
  const change = { method: 'PATCH', path: `/users/${account.id}`, credential: administration.token }
  const hasRole: Probe = async (url) =>
    (await expectSuccess(url, { path: '/auth/session', credential })).roles?.includes(role) ?? false
  return {
    uses: [accepts({ path: `/auth/verify?role=${role}`, credential }), hasRole],
    laterUses: [],
    revocation: { ...change, json: { roles: [] } },
    restore: () => expectSuccess(administration.url, { ...change, json: { roles: [role] } }),
  }
}

async function revokingKey(administration: Administration, { username }: Account): Promise<Revocable> {
  const { url, token } = administration
  const draft = { name: username, roles: [role], scopes: ['users:read'] }
  const { id, key = '' } = await expectSuccess(url, {
    method: 'POST',
    path: '/api-keys',
    credential: token,
    json: draft,
  })
  return {
    uses: [
      accepts({ path: '/auth/verify', credential: key }),
      accepts({ path: `/auth/verify?role=${role}`, credential: key }),
      isActive(administration, key),
    ],
    laterUses: [accepts({ path: '/users?limit=1', credential: key })],
    revocation: { method: 'DELETE', path: `/api-keys/${id}`, credential: token },
  }
}

function accepts(sent: Sent): Probe {
  return async (url) => {
    const { status, body } = await send(url, sent)
    if (status < 300) return true
    if ([400, 401, 403].includes(status)) return false
    throw failureOf(sent, status, body)
  }
}

function isActive({ introspector }: Administration, token: string): Probe {
  const sent = { method: 'POST', path: '/auth/introspect', credential: introspector, form: { token } }
  return async (url) => (await expectSuccess(url, sent)).active === true
}

/** Creates the account's user, with the role. */
export async function addUser({ url, token }: Administration, account: Account): Promise<void> {
  account.password = newPassword()
  const { id = '' } = await expectSuccess(url, {
    method: 'POST',
    path: '/users',
    credential: token,
    json: {
      username: account.username,
      full_name: account.username,
      password: account.password,
      roles: [role],
      must_change_password: false,
    },
  })
  account.id = id
}

function newPassword(): string {
  return `a pass phrase ${crypto.randomUUID()}`
}
