/** Milliseconds since the epoch. A parameter everywhere, so that no test waits to see time pass. */
export type Clock = () => number
