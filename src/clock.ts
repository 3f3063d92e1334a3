/**
 * Returns milliseconds since the epoch. A parameter everywhere, so that no test waits for time to
 * pass.
 */
export type Clock = () => number
