import { distance } from 'fastest-levenshtein'

/**
 * Returns the candidate that `name` probably misspells: at most two edits away, one if it is short,
 * or two neighbors swapped. Case does not count. Undefined if none, or if `name` is a candidate.
 */
export function nearMiss(name: string, candidates: readonly string[]): string | undefined {
  if (candidates.includes(name)) return undefined
  const wanted = name.toLowerCase()
  const near = candidates
    .map((candidate) => ({ candidate, edits: distance(wanted, candidate.toLowerCase()) }))
    .filter(
      ({ candidate, edits }) => edits <= limitFor(candidate) || (edits === 2 && hasSameLetters(wanted, candidate)),
    )
    .sort((one, other) => one.edits - other.edits)
  return near[0]?.candidate
}

/** `HOME` must not pass for a misspelled `HOST`. */
function limitFor(candidate: string): number {
  return candidate.length < 6 ? 1 : 2
}

function hasSameLetters(wanted: string, candidate: string): boolean {
  return [...wanted].sort().join('') === [...candidate.toLowerCase()].sort().join('')
}
