import type { Config, SettingName, SettingSource } from '../config/config.ts'

/** What a command has of the world around it. */
export interface CommandEnvironment {
  readonly config: Config
  readonly sources: Readonly<Record<SettingName, SettingSource>>
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  /** The file descriptor that `serve` logs to. */
  readonly logDescriptor: number
}

/** Exit code: 0 done, 1 refused or failed, 2 wrong usage or setting. */
export type ExitCode = 0 | 1 | 2

export interface Flag {
  readonly doc: string
  /** What stands behind it, as the help shows it; undefined: a switch. */
  readonly takes?: string
  readonly isRepeatable?: true
}

/** A command line taken apart. */
export interface Arguments {
  /** As many as the command has `words`. */
  readonly words: readonly string[]
  /** Of a switch `[]`, of a flag what stood behind it each time; undefined where it was not given. */
  readonly flags: ReadonlyMap<string, readonly string[]>
}

export interface Command {
  /** `serve`, `user add`. */
  readonly name: string
  readonly summary: string
  /** What stands behind the name and cannot be left out: `NAME`. */
  readonly words: readonly string[]
  readonly flags: Readonly<Record<string, Flag>>
  run(surroundings: CommandEnvironment, given: Arguments): Promise<ExitCode> | ExitCode
}
