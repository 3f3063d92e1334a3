import type { Command, CommandGroup } from './command.ts'
import { adopt } from './commands/adopt.ts'
import { apiKeyCommands } from './commands/apikey.ts'
import { auditCommands } from './commands/audit/audit.ts'
import { blockCommands } from './commands/block.ts'
import { config } from './commands/config.ts'
import { exportCommand } from './commands/export.ts'
import { healthcheck } from './commands/healthcheck.ts'
import { importCommand } from './commands/import.ts'
import { keyCommands } from './commands/key.ts'
import { migrate } from './commands/migrate.ts'
import { nginx } from './commands/nginx.ts'
import { openapi } from './commands/openapi.ts'
import { seed } from './commands/seed.ts'
import { sessionCommands } from './commands/session.ts'
import { userCommands } from './commands/user.ts'
import { serve } from './serve/serve.ts'

/** All commands, as the help lists them. */
export const commandGroups: readonly CommandGroup[] = [
  { heading: 'Server', commands: [serve, migrate, adopt, seed, healthcheck, config, nginx, openapi] },
  { heading: 'Audit log', commands: auditCommands },
  { heading: 'Users', commands: [...userCommands, ...sessionCommands, ...blockCommands, importCommand, exportCommand] },
  { heading: 'Keys', commands: [...keyCommands, ...apiKeyCommands] },
]
export const commands: readonly Command[] = commandGroups.flatMap(({ commands }) => commands)
