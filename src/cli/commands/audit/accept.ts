import type { Command, ExitCode } from '../../command.ts'
import { perform } from '../../control/perform.ts'
import { requireConfirmation, yes } from '../../terminal/confirmation.ts'

export const accept: Command = {
  name: 'audit accept',
  summary: 'Accept the current state of an account',
  details:
    'After someone changed the roles, the password or the status of a user by SQL, "audittrail audit verify" names the account until its state is accepted. For a user who was deleted by SQL, pass the ID.',
  arguments: ['NAME|ID'],
  flags: { yes },
  run: async (environment, { arguments: [name = ''], flags }): Promise<ExitCode> => {
    await requireConfirmation(
      `Accept the roles, the password and the status that ${JSON.stringify(name)} has now? Check them first.`,
      flags,
    )
    const { id, username, roles, is_active } = await perform(environment, 'acceptAccount', { name })
    const state = `${is_active ? 'active' : 'disabled'}, ${roles?.length ? `roles ${roles.join(', ')}` : 'no roles'}`
    environment.stdout(
      username === undefined
        ? `Accepted that the user ${id} was deleted.\n`
        : `Accepted the state of ${username}: ${state}.\n`,
    )
    return 0
  },
}
