import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Config } from '../config/config.ts'
import type { CreatedFiles } from '../db/embedded/createdFiles.ts'
import { createDataDirectory, readOrCreateSecretKey } from '../db/embedded/dataDirectory.ts'
import { AppError } from '../error.ts'
import { fingerprintOf, type SecretKeys } from '../secretKeys.ts'
import type { Log } from '../telemetry/log.ts'

export interface SecretKeySource {
  /**
   * Returns SECRET_KEY or, if it is unset, the key in DATA_DIR, which is created on first use.
   * Throws `unavailable` if SECRET_KEY was once read differently, until `settle` is called.
   */
  readonly secretKeys: () => SecretKeys
  /** Chooses the reading of SECRET_KEY with which the database was used, by its fingerprint. */
  readonly settle: (fingerprint: string | null) => void
}

type KeyConfig = Pick<Config, 'secretKey' | 'formerSecretKey' | 'secretKeyPrevious' | 'dataDir' | 'databaseUrl'>

export function createSecretKeySource(config: KeyConfig, log: Log, created: CreatedFiles): SecretKeySource {
  // Version 0.1.0 may have used a previous key with a line break at its end.
  const previous = (config.secretKeyPrevious ?? []).flatMap((secretKey) => [secretKey, `${secretKey}\n`])
  let known: SecretKeys | undefined
  let isSettled = config.formerSecretKey === undefined
  return {
    secretKeys: () => {
      if (!isSettled) throw new AppError('unavailable', 'The server is starting.')
      known ??= { current: config.secretKey ?? readLocalSecretKey(config, log, created), previous }
      return known
    },
    settle: (fingerprint) => {
      isSettled = true
      if (config.secretKey === undefined || fingerprint === null) return
      const former = formerReading(config.secretKey, config.formerSecretKey, fingerprint)
      if (former === undefined || former === known?.current) return
      known = { current: former, previous }
      log.warn('secret_key.former_reading', {
        detail:
          'this database was used with SECRET_KEY as an earlier version read it: cut off before a #, or with the line ' +
          'break at its end. That value stays in use. To be rid of the difference, set SECRET_KEY to a new key and ' +
          'SECRET_KEY_PREVIOUS to the value in use without its line break',
      })
    },
  }
}

/** Returns the reading with this fingerprint unless it is SECRET_KEY as it is read now. */
function formerReading(secretKey: string, former: string | undefined, fingerprint: string): string | undefined {
  if (fingerprintOf(secretKey) === fingerprint) return undefined
  // One replica may have read it from a variable with a line break, and this one from a file.
  const readings = [...(former === undefined ? [] : [former]), `${secretKey}\n`, `${secretKey}\r\n`]
  return readings.find((reading) => fingerprintOf(reading) === fingerprint)
}

/** Whether SECRET_KEY is set or DATA_DIR has a key, so that none has to be generated. */
export function hasSecretKey(config: KeyConfig): boolean {
  return config.secretKey !== undefined || existsSync(join(config.dataDir, 'secret.key'))
}

function readLocalSecretKey(config: KeyConfig, log: Log, created: CreatedFiles): string {
  const directory = resolve(config.dataDir)
  createDataDirectory(directory, created)
  if (config.databaseUrl) {
    log.warn('secret_key.local', {
      detail: 'SECRET_KEY is not set: tokens are signed with DATA_DIR/secret.key, which other replicas do not have',
    })
  }
  return readOrCreateSecretKey(directory, created)
}
