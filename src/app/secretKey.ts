import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Config } from '../config/config.ts'
import { createDataDirectory, readOrCreateSecretKey } from '../db/embedded/dataDirectory.ts'
import type { SecretKeys } from '../secretKeys.ts'
import type { Log } from '../telemetry/log.ts'

/** Returns a function that reads the keys on first use: SECRET_KEY or the one in DATA_DIR. */
export function secretKeysOf(config: Config, log: Log): () => SecretKeys {
  let secretKeys: SecretKeys | undefined
  return () => {
    secretKeys ??= {
      current: config.secretKey ?? readLocalSecretKey(config, log),
      previous: config.secretKeyPrevious ?? [],
    }
    return secretKeys
  }
}

/** Whether SECRET_KEY is set or DATA_DIR has a key, so that none has to be generated. */
export function hasSecretKey(config: Config): boolean {
  return config.secretKey !== undefined || existsSync(join(config.dataDir, 'secret.key'))
}

function readLocalSecretKey(config: Config, log: Log): string {
  const directory = resolve(config.dataDir)
  createDataDirectory(directory)
  if (config.databaseUrl) {
    log.warn('secret_key.local', {
      detail: 'SECRET_KEY is not set: tokens are signed with DATA_DIR/secret.key, which other replicas do not have',
    })
  }
  return readOrCreateSecretKey(directory)
}
