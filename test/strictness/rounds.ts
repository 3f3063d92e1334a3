import { expectSuccess, isUnavailable, signIn } from './client.ts'
import { type Account, type Administration, addUser, type Probe, type Revocable, revocations } from './revocations.ts'

const clients = 64
/** Each client has this many requests in flight while it revokes. */
const uses = 4
/** A slow revocation must not starve the others. */
const maxUses = 6

export interface Outcome {
  readonly rounds: number
  /** Requests sent after the response to a revocation, and before. */
  readonly later: number
  readonly earlier: number
  /** Rounds that ended early because a request returned 503. They are not among `rounds`. */
  readonly abandoned: number
  /** Later requests that were accepted, as text. */
  readonly violations: readonly string[]
}

interface Tally {
  rounds: number
  later: number
  earlier: number
  abandoned: number
  readonly violations: string[]
}

/**
 * Clients that all revoke at the same time, each its own credential, on alternating replicas while
 * using it on both. Throws if a request fails,
 * except with 503.
 */
export async function runRounds(
  urls: readonly [string, string],
  rounds: number,
  adminPassword: string,
): Promise<Outcome> {
  const administration = await openAdministration(urls[0], adminPassword)
  const tally: Tally = { rounds: 0, later: 0, earlier: 0, abandoned: 0, violations: [] }
  const kinds = Object.entries(revocations)
  const newAccount = async (): Promise<Account> => {
    const account = { username: `client-${crypto.randomUUID()}`, id: '', password: '' }
    await addUser(administration, account)
    return account
  }
  let begun = 0
  const runClient = async (): Promise<void> => {
    let account: Account | undefined
    while (tally.rounds < rounds) {
      const round = begun++
      const [kind, prepare] = kinds[round % kinds.length] ?? ['', undefined]
      if (!prepare) return
      try {
        account ??= await newAccount()
        const revocable = await prepare(administration, account)
        const revokeUrl = urls[Math.floor(round / kinds.length) % 2] ?? urls[0]
        await runRound(urls, revokeUrl, kind, revocable, tally)
        await revocable.restore?.()
        tally.rounds++
      } catch (error) {
        // A busy machine may cause it. What the account is like then is unknown.
        if (!isUnavailable(error)) throw error
        tally.abandoned++
        account = undefined
      }
    }
  }
  await Promise.all(Array.from({ length: clients }, runClient))
  return tally
}

async function openAdministration(url: string, password: string): Promise<Administration> {
  const { accessToken: token } = await signIn(url, 'admin', password)
  const draft = { name: 'introspector', scopes: ['introspect'] }
  const { key = '' } = await expectSuccess(url, { method: 'POST', path: '/api-keys', credential: token, json: draft })
  return { url, token, introspector: key }
}

async function runRound(
  urls: readonly [string, string],
  revokeUrl: string,
  kind: string,
  { uses: probes, laterUses, revocation }: Revocable,
  tally: Tally,
): Promise<void> {
  let isRevoked = false
  const { promise: revoked, resolve: resolveRevoked } = Promise.withResolvers<void>()
  const use = async (probe: Probe, url: string): Promise<void> => {
    const isLater = isRevoked
    const isAccepted = await probe(url)
    if (isLater) tally.later++
    else tally.earlier++
    const where = url === revokeUrl ? 'the same replica' : 'the other replica'
    if (isLater && isAccepted) tally.violations.push(`${kind}: accepted on ${where}`)
  }
  for (const url of urls)
    for (const probe of probes) if (!(await probe(url))) throw new Error(`${kind}: not accepted before the revocation`)
  // Each repeats its request during the revocation, and sends it again after.
  const inUse = Array.from({ length: uses }, async (_, index) => {
    const probe = probes[(index >> 1) % probes.length]
    const url = urls[index % 2]
    if (!probe || !url) return
    for (let count = 0; count < maxUses && !isRevoked; count++) await use(probe, url)
    await revoked
    await use(probe, url)
  })
  const revoking = expectSuccess(revokeUrl, revocation).then(() => {
    isRevoked = true
    resolveRevoked()
    return Promise.all(urls.flatMap((url) => [...probes, ...laterUses].map((probe) => use(probe, url))))
  })
  await Promise.all([...inUse, revoking])
}
