import { type DiskState, diskField } from './syncedFiles.ts'

/** The activity of the engine's thread since the last response. A tick is a second. */
export interface Progress {
  /** It is still inside the system call of the previous tick. */
  readonly isWaiting: boolean
  /** Ticks since the last response, or since this system call began. */
  readonly ticks: number
  /** Consecutive ticks without disk activity. */
  readonly idleTicks: number
}

export interface ProgressWatch {
  /** Called for each response. */
  reset(): void
  tick(): Progress
}

/** Watches the counter of system calls, which is odd while one is in progress. */
export function watchProgress(disk: DiskState): ProgressWatch {
  let progress = 0
  let waiting = 0
  let ticks = 0
  let idleTicks = 0
  return {
    reset: () => {
      ticks = idleTicks = waiting = 0
    },
    tick: () => {
      const before = progress
      progress = Atomics.load(disk, diskField.progress)
      const isWaiting = progress === before && progress % 2 !== 0
      waiting = isWaiting ? waiting + 1 : 0
      ticks++
      idleTicks = progress === before ? idleTicks + 1 : 0
      return { isWaiting, ticks: isWaiting ? waiting : ticks, idleTicks }
    },
  }
}
