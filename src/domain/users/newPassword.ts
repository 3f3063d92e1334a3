import type { Deps } from '../deps.ts'
import { hashInSlot } from '../passwords/hashPassword.ts'
import { requireNotAborted } from '../passwords/hashQueue.ts'
import { generateOneTimePassword } from '../passwords/oneTimePassword.ts'
import { requireAcceptablePassword } from '../passwords/policy.ts'

/**
 * Returns the hash of the chosen password, or of the one-time password. Throws `invalid_fields` if
 * the policy rejects the chosen one.
 */
export async function hashNewPassword(
  deps: Deps,
  chosen: string | undefined,
  name: string,
  oneTime: string | undefined,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { passwordMinLength } = deps.settings
  if (chosen !== undefined)
    await requireAcceptablePassword({ password: chosen, username: name }, passwordMinLength, 'password')
  const hash = await hashInSlot(deps, chosen ?? oneTime ?? generateOneTimePassword(), signal)
  requireNotAborted(signal)
  return hash
}
