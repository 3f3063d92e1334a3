import type { Config, SettingName, SettingSource } from '../config/config.ts'

/** Settings and standard streams of a command. */
export interface CommandEnvironment {
  readonly config: Config
  readonly sources: Readonly<Record<SettingName, SettingSource>>
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  /** The file descriptor that `serve` logs to. */
  readonly logDescriptor: number
  /** How to call another command with the same settings, as this one was called. */
  readonly program: string
}

/** 0: done. 1: refused or failed. 2: wrong usage or invalid setting. 3: could not be checked. */
export type ExitCode = 0 | 1 | 2 | 3

export interface Flag {
  readonly doc: string
  /** Placeholder of the value, such as `FILE`. Undefined: the flag takes no value. */
  readonly value?: string
  readonly isRepeatable?: true
}

/** The parsed command line of a command. */
export interface CommandInput {
  /** One value for each placeholder in the command's `arguments`, except optional ones left out. */
  readonly arguments: readonly string[]
  /** The flags that are present, each with its values; a flag that takes no value has none. */
  readonly flags: ReadonlyMap<string, readonly string[]>
}

/** Commands under one heading of the help. */
export interface CommandGroup {
  readonly heading: string
  readonly commands: readonly Command[]
}

export interface Command {
  /** One or two words: `serve`, `user add`. */
  readonly name: string
  /** One line for the list of commands, without a final period. */
  readonly summary: string
  /** Sentences that only the help of this command has. */
  readonly details?: string
  /** Placeholders of the arguments, such as `NAME`. An optional one at the end is in brackets. */
  readonly arguments: readonly string[]
  readonly flags: Readonly<Record<string, Flag>>
  run(environment: CommandEnvironment, input: CommandInput): Promise<ExitCode> | ExitCode
}
