import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Config } from '../config/config.ts'
import { makeDataDirectory, readOrMakeSecretKey } from '../db/embedded/dataDirectory.ts'
import type { SecretKeys } from '../secretKeys.ts'
import type { Log } from '../telemetry/log.ts'

/** SECRET_KEY, or the one in DATA_DIR, and the ones of SECRET_KEY_PREVIOUS; read when they are first asked for. */
export function secretKeysOf(config: Config, log: Log): () => SecretKeys {
  let known: SecretKeys | undefined
  return () => {
    known ??= {
      current: config.secretKey ?? secretKeyOfDataDirectory(config, log),
      previous: config.secretKeyPrevious ?? [],
    }
    return known
  }
}

/** Whether there is a SECRET_KEY, and none has to be made. */
export function hasSecretKey(config: Config): boolean {
  return config.secretKey !== undefined || existsSync(join(config.dataDir, 'secret.key'))
}

function secretKeyOfDataDirectory(config: Config, log: Log): string {
  const directory = resolve(config.dataDir)
  makeDataDirectory(directory)
  if (config.databaseUrl) {
    log.warn('secret_key.local', {
      detail:
        'SECRET_KEY is not set: tokens are signed with DATA_DIR/secret.key of this machine, which other replicas do not have',
    })
  }
  return readOrMakeSecretKey(directory)
}
