import type { Config, SettingName, SettingSource } from '../config.ts'

/** What a command has of the world around it. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly config: Config
  readonly sources: Readonly<Record<SettingName, SettingSource>>
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
}

/** Exit code: 0 done, 1 refused or failed, 2 wrong usage or setting. */
export type ExitCode = 0 | 1 | 2

export interface Command {
  readonly name: string
  readonly summary: string
  /** Behind `audittrail NAME`, as the help shows it. */
  readonly usage: string
  /** Flags that it takes, each with what it does. All are switches. */
  readonly flags: Readonly<Record<string, string>>
  run(surroundings: Surroundings, flags: ReadonlySet<string>): Promise<ExitCode> | ExitCode
}
