export interface User {
  readonly id: string
  readonly username: string
  readonly roles: readonly string[]
}

/** Returns the user from the headers that Nginx sets. Trust them only if nothing but Nginx can connect. */
export async function userByNginx({ headers }: Request): Promise<User | undefined> {
  const [id, username] = [headers.get('x-auth-user-id'), headers.get('x-auth-user')]
  if (!id || !username) return undefined
  return { id, username: decodeURIComponent(username), roles: headers.get('x-auth-roles')?.split(',') ?? [] }
}
