import { readOpenApiDocument } from '../../app/openApiDocument.ts'
import { createLog } from '../../telemetry/log.ts'
import type { Command, ExitCode } from '../command.ts'

export const openapi: Command = {
  name: 'openapi',
  summary: 'Print the OpenAPI document',
  arguments: [],
  flags: {},
  run: async ({ config, stdout, stderr }): Promise<ExitCode> => {
    const log = createLog({ level: 'warn', format: config.logFormat, now: Date.now, write: stderr })
    stdout(`${await readOpenApiDocument(config, { log, wallClock: Date.now, monotonicClock: Date.now })}\n`)
    return 0
  },
}
