export interface Failure {
  /** A path like `test/http/health.test.ts`. */
  readonly file: string
  /** What `bun test` printed before and after the line with its title, without passed tests. */
  readonly text: string
  /** Whether it is an error outside of all tests, perhaps of an earlier file. */
  readonly isOutside: boolean
}

/** How many lines are kept before and after a failure. */
const linesAround = 40

/**
 * Collects the failed tests from what `bun test` prints to stderr. With `--parallel`, it names the
 * file again whenever lines of another came between, and may print an error before or after its
 * title.
 */
export function collectFailures(): { add: (text: string) => void; failures: () => readonly Failure[] } {
  const found: (Omit<Failure, 'text'> & { readonly at: number })[] = []
  const lines: string[] = []
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
        if (named || line === '' || line.startsWith('(pass) ')) continue
        const isOutside = line === '# Unhandled error between tests'
        if (isOutside || line.startsWith('(fail) ')) found.push({ file, isOutside, at: lines.length })
        lines.push(line)
      }
    },
    failures: () =>
      found.map(({ file, isOutside, at }) => {
        const text = lines.slice(Math.max(0, at - linesAround), at + linesAround).join('\n')
        return { file, isOutside, text }
      }),
  }
}
