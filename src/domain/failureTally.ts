/** Tells whether this process has counted a failed sign-in since the counts were read. */
export interface FailureTally {
  readonly total: number
  add(): void
}

export function createFailureTally(): FailureTally {
  let total = 0
  return {
    get total() {
      return total
    },
    add: () => {
      total++
    },
  }
}
