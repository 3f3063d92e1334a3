import { readFileSync } from 'node:fs'
import { type Policy, parsePolicy } from '../../domain/witnesses/policy.ts'
import { AppError } from '../../error.ts'

/** Reads AUDIT_WITNESSES. Throws `usage` if it is no policy that this server can meet. */
export function readWitnessPolicy(path: string | undefined): Policy | undefined {
  if (path === undefined) return undefined
  const parsed = parsePolicy(readFile(path))
  if ('problem' in parsed) throw unusable(`is not a tlog-policy file: ${parsed.problem}`)
  const { policy } = parsed
  const reachable = policy.witnesses.filter(({ url }) => url !== undefined)
  const wrong = reachable.find(({ url }) => !isSubmissionPrefix(String(url)))
  if (wrong) throw unusable(`has a witness whose URL is not https:// or http://, without credentials and query`)
  if (!policy.isQuorum(new Set(reachable)))
    throw unusable(
      'has a quorum that its witnesses with a URL cannot meet: add the URLs at which they take checkpoints',
    )
  return policy
}

function readFile(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (error) {
    throw unusable(`cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

function isSubmissionPrefix(text: string): boolean {
  const url = URL.parse(text)
  const isWeb = url?.protocol === 'https:' || url?.protocol === 'http:'
  return isWeb && url.username === '' && url.password === '' && url.search === '' && url.hash === ''
}

function unusable(problem: string): AppError {
  return new AppError('usage', `The file in AUDIT_WITNESSES ${problem}.`)
}
