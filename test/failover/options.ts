import { parseArgs } from 'node:util'

/** What happens to the primary in a round. */
export const kinds = ['switchover', 'kill', 'hang', 'hostLoss'] as const
export type Kind = (typeof kinds)[number]

/** The ledger under those failures, and scenarios with clusters and settings of their own. */
export const scenarios = ['ledger', 'asynchronous', 'splitBrain', 'standbyLost'] as const
export type Scenario = (typeof scenarios)[number]

export interface Options {
  /** Rounds by kind. */
  readonly rounds: Readonly<Record<Kind, number>>
  readonly scenarios: readonly Scenario[]
  /** Seconds for which a node hangs, or a standby is away. */
  readonly hangSeconds: number
  readonly standbySeconds: number
}

const names: readonly string[] = [...kinds, ...scenarios.slice(1)]

const usage = `bun run test:failover [--rounds N] [--only NAME,…] [--hang-seconds N] [--standby-seconds N]

  --rounds N            rounds of each kind (20 switchovers, 10 of the others)
  --only NAME,…         some of ${names.join(', ')}
  --hang-seconds N      how long the primary hangs (40)
  --standby-seconds N   how long the synchronous standby is away (60)`

export function parseOptions(args: readonly string[]): Options {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: [...args],
    options: { rounds: text, only: text, 'hang-seconds': text, 'standby-seconds': text },
  })
  const only = values.only?.split(',')
  const unknown = only?.filter((name) => !names.includes(name)) ?? []
  if (unknown.length > 0) throw new Error(`unknown: ${unknown.join(', ')}\n\n${usage}`)
  const includes = (name: string) => only?.includes(name) ?? true
  const roundsOf = (kind: Kind) => (includes(kind) ? Number(values.rounds ?? (kind === 'switchover' ? 20 : 10)) : 0)
  return {
    rounds: {
      switchover: roundsOf('switchover'),
      kill: roundsOf('kill'),
      hang: roundsOf('hang'),
      hostLoss: roundsOf('hostLoss'),
    },
    scenarios: scenarios.filter((name) => (name === 'ledger' ? kinds.some(includes) : includes(name))),
    hangSeconds: Number(values['hang-seconds'] ?? 40),
    standbySeconds: Number(values['standby-seconds'] ?? 60),
  }
}
