import type { Clock } from '../clock.ts'

/** What was refused, whom it concerns if that is known, and otherwise the network it came from. */
export interface Refusal<Subject> {
  readonly type: string
  readonly subject: Subject | undefined
  readonly network: string | undefined
}

export type Suppressed<Subject> = Refusal<Subject> & { readonly count: number }

/**
 * Bounds how many refusals are recorded in full: per second, and in the long run of each user, API
 * key or network, and overall. Strangers have a budget of their own, so that they cannot hide
 * refusals that concern a known subject. Counts what is above.
 */
export interface RefusalBudget<Subject> {
  /** Returns whether a refusal may be recorded. Counts it otherwise. */
  admit(refusal: Refusal<Subject>): boolean
  /** Returns whether counts wait and the pause since the last ones is over. */
  isDue(): boolean
  /** Returns the counts since the last call: if they are due, or always with `now`. */
  take(when: 'due' | 'now'): readonly Suppressed<Subject>[]
  /** Counts again what could not be recorded, so that it is due in a second. */
  giveBack(suppressed: Suppressed<Subject>): void
  /** Returns how many refusals were not admitted since the start. */
  count(): number
}

interface Rate {
  readonly burst: number
  readonly perMinute: number
}

/** Refusals in one second, of strangers and of known subjects each. */
export const mostPerSecond = 20
/** Refusals of one user, API key or network, and of all of them together. */
export const sourceRate: Rate = { burst: 100, perMinute: 6 }
export const overallRate: Rate = { burst: 600, perMinute: 30 }
/** Records of counts: one a second in a short flood, one a minute in a long one. */
export const countRate: Rate = { burst: 30, perMinute: 1 }
const countPause = 1000
/** The largest counts are recorded one by one, the others in one per type. */
export const mostCounts = 10
/** Sources that are remembered. */
const mostSources = 1000

export function createRefusalBudget<Subject extends { readonly id?: string | undefined }>(
  clock: Clock,
): RefusalBudget<Subject> {
  const overall = { strangers: createShare(clock), known: createShare(clock) }
  const countBucket = createBucket(countRate, clock)
  const sources = new Map<string, Bucket>()
  let counts = new Map<string, Suppressed<Subject>>()
  let takenAt = Number.NEGATIVE_INFINITY
  let mustRetry = false
  let total = 0

  function bucketOf(source: string): Bucket {
    const bucket = sources.get(source) ?? createBucket(sourceRate, clock)
    sources.delete(source)
    sources.set(source, bucket)
    const [oldest] = sources.keys()
    if (sources.size > mostSources && oldest !== undefined) sources.delete(oldest)
    return bucket
  }

  function add(refusal: Refusal<Subject>, count: number): void {
    const key = `${refusal.type} ${sourceOf(refusal)}`
    const isKept = counts.has(key) || counts.size < mostSources
    const { type } = refusal
    const counted = isKept ? { key, refusal } : { key: type, refusal: { type, subject: undefined, network: undefined } }
    counts.set(counted.key, { ...counted.refusal, count: (counts.get(counted.key)?.count ?? 0) + count })
  }

  const isDue = () => counts.size > 0 && clock() - takenAt >= countPause && (mustRetry || countBucket.has())
  return {
    admit: (refusal) => {
      const share = refusal.subject?.id === undefined ? overall.strangers : overall.known
      const source = bucketOf(sourceOf(refusal))
      if (source.has() && share.has()) {
        source.take()
        share.take()
        return true
      }
      add(refusal, 1)
      total++
      return false
    },
    isDue,
    take: (when) => {
      if (when === 'due' && !isDue()) return []
      const taken = merged([...counts.values()])
      if (taken.length > 0 && !mustRetry) countBucket.take()
      mustRetry = false
      counts = new Map()
      takenAt = clock()
      return taken
    },
    giveBack: ({ count, ...refusal }) => {
      add(refusal, count)
      mustRetry = true
    },
    count: () => total,
  }
}

function sourceOf({ subject, network = '' }: Refusal<{ readonly id?: string | undefined }>): string {
  return subject?.id ?? network
}

/** Keeps the largest counts. Sums the others by type. */
function merged<Subject>(counts: readonly Suppressed<Subject>[]): readonly Suppressed<Subject>[] {
  const sorted = counts.toSorted((one, other) => other.count - one.count)
  const sums = new Map<string, number>()
  for (const { type, count } of sorted.slice(mostCounts)) sums.set(type, (sums.get(type) ?? 0) + count)
  const rest = [...sums].map(([type, count]) => ({ type, subject: undefined, network: undefined, count }))
  return [...sorted.slice(0, mostCounts), ...rest]
}

interface Bucket {
  has(): boolean
  take(): void
}

/** All refusals of one kind of subject: a window of a second, and a token bucket. */
function createShare(clock: Clock): Bucket {
  const bucket = createBucket(overallRate, clock)
  let second = { since: Number.NEGATIVE_INFINITY, taken: 0 }
  return {
    has: () => {
      const now = clock()
      if (now - second.since >= 1000) second = { since: now, taken: 0 }
      return second.taken < mostPerSecond && bucket.has()
    },
    take: () => {
      second.taken++
      bucket.take()
    },
  }
}

/** A token bucket. */
function createBucket({ burst, perMinute }: Rate, clock: Clock): Bucket {
  let tokens = burst
  let at = clock()
  return {
    has: () => {
      const now = clock()
      tokens = Math.min(burst, tokens + (Math.max(now - at, 0) * perMinute) / 60_000)
      at = now
      return tokens >= 1
    },
    take: () => {
      tokens--
    },
  }
}
