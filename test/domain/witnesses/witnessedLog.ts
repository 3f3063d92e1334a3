import { createSequencer, type Sequencer } from '../../../src/domain/audit/sequencer.ts'
import type { Deps } from '../../../src/domain/deps.ts'
import { publishedHead } from '../../../src/domain/publishedLog/published.ts'
import { type Policy, parsePolicy } from '../../../src/domain/witnesses/policy.ts'
import type { WitnessState } from '../../../src/domain/witnesses/witnessBook.ts'
import { createWitnessing, type Witnessing } from '../../../src/domain/witnesses/witnessing.ts'
import { boundedPost } from '../../../src/system/boundedPost.ts'
import { type DatabaseKind, openTestApplication, type TestApplication } from '../../application.ts'
import { serveWitness, type WitnessServer } from './witnessServer.ts'

export const minute = 60_000
const bounds = { timeout: 2000, maxLength: 65_536, userAgent: 'test' }

/** A log with two witnesses, and one record that none of them has cosigned. */
export interface WitnessedLog {
  readonly application: TestApplication
  readonly one: WitnessServer
  readonly two: WitnessServer
  readonly sequencer: Sequencer
  record(count: number): Promise<void>
  size(): number
  policyOf(quorum?: string, servers?: readonly Pick<WitnessServer, 'url' | 'vkey'>[]): Policy
  open(policy?: Policy, replica?: { readonly deps: Deps; readonly head: Sequencer }): Witnessing
  /** Returns the published size, or the code of the error. */
  published(policy?: Policy): Promise<number | string>
  events(name: string): Record<string, unknown>[]
  close(): Promise<void>
}

export async function openWitnessedLog(kind: DatabaseKind): Promise<WitnessedLog> {
  const application = await openTestApplication(kind)
  const [one, two] = [serveWitness(1), serveWitness(2)]
  const sequencer = createSequencer(application.deps, true)
  const log: WitnessedLog = {
    application,
    one,
    two,
    sequencer,
    record: async (count) => {
      for (let index = 0; index < count; index++) {
        application.clock.now += 20 * minute
        await application.login('admin', 'wrong')
      }
      await sequencer.run()
      application.clock.now += minute
    },
    size: () => sequencer.state().size,
    policyOf: (quorum = 'w1', servers = [one, two]) => {
      const lines = servers.map(({ vkey, url }, at) => `witness w${at + 1} ${vkey} ${url}`)
      const parsed = parsePolicy(Buffer.from(`${lines.join('\n')}\ngroup both all w1 w2\nquorum ${quorum}\n`))
      if ('problem' in parsed) throw new Error(parsed.problem)
      return parsed.policy
    },
    open: (policy = log.policyOf(), { deps, head } = { deps: application.deps, head: sequencer }) => {
      const { database, audit, clock, log } = deps
      const post = (url: string, body: string) => boundedPost(url, body, bounds)
      return createWitnessing({ database, keys: audit.keys, clock, log, policy, signedHead: head.signedHead, post })
    },
    published: (policy = log.policyOf()) =>
      publishedHead({ ...application.deps, witnesses: policy }).then(
        ({ size }) => size,
        ({ code }) => code,
      ),
    events: (name) => application.lines.filter(({ event }) => event === name),
    close: async () => {
      await one.stop()
      await two.stop()
      await application.close()
    },
  }
  await log.record(1)
  return log
}

export function failureOf(witnessing: Witnessing, name = 'w1'): WitnessState['failure'] {
  return witnessing.state().witnesses.find((witness) => witness.name === name)?.failure
}
