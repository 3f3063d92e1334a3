import { trimBlanks } from '../../userFields.ts'
import type { Deps } from '../deps.ts'

/**
 * Returns the username that a sign-in is for: as entered if an adopted user has exactly this name,
 * else without the blanks around it.
 */
export async function resolveUsername({ database }: Pick<Deps, 'database'>, entered: string): Promise<string> {
  const trimmed = trimBlanks(entered)
  if (trimmed === entered) return entered
  return (await database.users.findUserByUsername(entered)) ? entered : trimmed
}
