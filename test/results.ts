export interface Failure {
  /** A path like `test/http/health.test.ts`. */
  readonly file: string
  /** With those of its groups. Ends with `(unnamed)` if a hook of its group failed. */
  readonly title: string
  /** What `bun test` printed before and after the line with its title, without passed tests. */
  readonly text: string
  /** Whether it is no test: an error outside of all tests, or a worker that crashed. */
  readonly isOutside: boolean
}

/** The environment of `bun test`, which otherwise leaves out passed tests for some callers. */
export const allResults = { CLAUDECODE: undefined, AGENT: undefined, REPL_ID: undefined }

export interface Results {
  add(text: string): void
  failures(): readonly Failure[]
  /** Returns whether this test has passed, or one of the group whose hook failed. */
  hasPassed(title: string): boolean
}

/** How many lines are kept before and after a failure. */
const linesAround = 40
const unnamed = '(unnamed)'
/** A worker that crashed, and tests whose results are lost. */
const crashed = /^✗ .+ \(.+\)$/

/**
 * Collects the results of tests from what `bun test` prints to stderr. With `--parallel`, it names
 * the file again after lines of another, and may print an error before or after its title.
 */
export function collectResults(): Results {
  const found: (Omit<Failure, 'text'> & { readonly at: number })[] = []
  const lines: string[] = []
  const passed = new Set<string>()
  let file = ''
  let rest = ''
  let isSummary = false
  return {
    add(text) {
      const complete = `${rest}${text}`.split('\n')
      rest = complete.pop() ?? ''
      for (const line of complete) {
        // After many tests, it lists the failures again.
        isSummary ||= /^\d+ tests? failed:$/.test(line)
        if (isSummary) continue
        const named = /^(\S+\.test\.ts):$/.exec(line)?.[1]
        file = named ?? file
        const [, verdict, title = ''] = /^\((pass|fail)\) (.*?)(?: \[[\d.]+ms\])?$/.exec(line) ?? []
        if (verdict === 'pass') passed.add(title)
        if (named || line === '' || verdict === 'pass') continue
        const isOutside = line === '# Unhandled error between tests' || crashed.test(line)
        if (isOutside || verdict === 'fail') found.push({ file, title, isOutside, at: lines.length })
        lines.push(line)
      }
    },
    failures: () =>
      found.map(({ at, ...failure }) => ({
        ...failure,
        text: lines.slice(Math.max(0, at - linesAround), at + linesAround).join('\n'),
      })),
    hasPassed: (title) => {
      const group = title.endsWith(unnamed) ? title.slice(0, -unnamed.length) : undefined
      return group === undefined ? passed.has(title) : [...passed].some((one) => one.startsWith(group))
    },
  }
}
