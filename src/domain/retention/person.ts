import type { Database } from '../../db/database.ts'
import { AppError } from '../../error.ts'
import { isUuid } from '../../uuid.ts'
import { parseLeaf } from '../audit/leaf.ts'
import { readPersonal } from '../audit/presentEvent.ts'
import type { Party } from '../audit/record.ts'

/** A user, deleted ones too, or an API key, as the audit log knows them. */
export interface Person {
  /** Undefined: only a stranger has entered the name. */
  readonly party: Pick<Party, 'kind' | 'id'> | undefined
  readonly names: readonly string[]
  /** Whether the user exists, so that new records will name them. */
  readonly isUser: boolean
}

type PersonDeps = { readonly database: Pick<Database, 'audit' | 'users'> }

const pageSize = 2000

/** Finds a person by id or username. Throws `conflict` if several have had the username. */
export async function findPerson(deps: PersonDeps, nameOrId: string): Promise<Person> {
  if (isUuid(nameOrId)) return personOf(deps, nameOrId.toLowerCase())
  const name = nameOrId.toLowerCase()
  const user = await deps.database.users.findUserByUsername(nameOrId)
  const ids = new Set(user ? [user.id] : [])
  for await (const { id, username } of eachName(deps)) if (username.toLowerCase() === name) ids.add(id)
  if (ids.size > 1)
    throw new AppError('conflict', `Several users or API keys had this name. Pass an id: ${[...ids].join(', ')}.`)
  const [id] = ids
  return id === undefined ? { party: undefined, names: [nameOrId], isUser: false } : personOf(deps, id)
}

async function personOf(deps: PersonDeps, id: string): Promise<Person> {
  const user = await deps.database.users.findUser(id)
  const names = new Set(user ? [user.username] : [])
  for await (const named of eachName(deps, id)) if (named.id === id) names.add(named.username)
  return { party: { kind: user ? 'user' : await kindOf(deps, id), id }, names: [...names], isUser: user !== undefined }
}

interface Named {
  readonly id: string
  readonly username: string
}

/** Yields the usernames in the log with their ids, repeatedly; those of one party if given. */
async function* eachName({ database: { audit } }: PersonDeps, of?: string): AsyncGenerator<Named, void> {
  // An event leaves the pending ones for the log, so they are read in this order.
  for (let after: string | undefined; ; ) {
    const page = await audit.listPending(after, pageSize)
    if (page.length === 0) break
    after = page.at(-1)?.id
    for (const { leaf, byPrivate, aboutPrivate } of page) {
      const { by, about } = parseLeaf(leaf) ?? {}
      yield* namesIn(by?.id, byPrivate)
      yield* namesIn(about?.id, aboutPrivate)
    }
  }
  for (let from = 0; ; ) {
    const page = await audit.listPersonalTexts(from, pageSize, of)
    if (page.length === 0) return
    from = (page.at(-1)?.index ?? 0) + 1
    for (const { byId, aboutId, byPrivate, aboutPrivate } of page) {
      yield* namesIn(byId, byPrivate)
      yield* namesIn(aboutId, aboutPrivate)
    }
  }
}

function* namesIn(id: string | null | undefined, text: string | null): Generator<Named, void> {
  const { username } = readPersonal(text)
  if (id && typeof username === 'string') yield { id, username }
}

async function kindOf({ database }: PersonDeps, id: string): Promise<Party['kind']> {
  const [event] = await database.audit.listEvents({ of: id, limit: 1 })
  const { by, about } = parseLeaf(event?.leaf ?? '') ?? {}
  return [about, by].find((party) => party?.id === id)?.kind ?? 'user'
}
