import { AppError } from '../../error.ts'
import type { OpenConnection } from './connection.ts'

/** One connection that is not one of the pool's, for work that takes long. */
export interface SpareConnection {
  /** Rejects with `unavailable` if there is one already or no room. */
  open(): Promise<OpenConnection>
  /** 1 while it exists, or is being opened. */
  count(): number
  discard(): void
  close(): void
}

export function createSpareConnection(open: () => Promise<OpenConnection>, isFull: () => boolean): SpareConnection {
  let spare: OpenConnection | 'opening' | undefined
  let isClosed = false
  const discard = () => {
    if (typeof spare === 'object') spare.discard(true)
  }
  const forget = () => {
    spare = undefined
  }
  return {
    open: async () => {
      if (spare || isFull()) throw new AppError('unavailable', 'All connections to the database are in use.')
      spare = 'opening'
      try {
        spare = await open()
      } catch (error) {
        forget()
        throw error
      }
      void spare.closed.then(forget)
      if (isClosed) discard()
      return spare
    },
    count: () => (spare ? 1 : 0),
    discard,
    close: () => {
      isClosed = true
      discard()
    },
  }
}
