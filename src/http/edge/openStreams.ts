/** The responses that are sent in parts. The deadline of their requests has ended. */
export interface OpenStreams {
  /** `end` breaks the response. Returns a function that forgets it. */
  add(end: (reason: Error) => void): () => void
  /** Breaks them all. */
  endAll(): void
}

export function createOpenStreams(): OpenStreams {
  const ends = new Set<(reason: Error) => void>()
  return {
    add: (end) => {
      ends.add(end)
      return () => ends.delete(end)
    },
    endAll: () => {
      for (const end of ends) end(new Error('The server is shutting down.'))
      ends.clear()
    },
  }
}
