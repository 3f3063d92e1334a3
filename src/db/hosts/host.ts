import { hostLabel } from '../../config/databaseLabel.ts'
import type { DatabaseAddress } from '../../config/databaseUrl.ts'
import type { AppError } from '../../error.ts'
import type { CheckedHost } from './election.ts'
import type { HostState } from './hostState.ts'

/** A connection to one host, only for its state. */
export interface Probe {
  read(): Promise<HostState>
  end(): void
}

/** Rejects with an AppError. `isKnown`: the host was checked before. */
export type OpenProbe = (address: DatabaseAddress, isKnown: boolean) => Promise<Probe>

export interface Host extends CheckedHost {
  readonly address: DatabaseAddress
  state: HostState | undefined
  failure: AppError | undefined
  probe: Probe | undefined
  isChecking: boolean
  /** Checks so far. */
  checks: number
  timer: ReturnType<typeof setTimeout> | undefined
}

export function createHost(address: DatabaseAddress): Host {
  return {
    address,
    label: hostLabel(address),
    state: undefined,
    failure: undefined,
    probe: undefined,
    isChecking: false,
    checks: 0,
    timer: undefined,
  }
}

/** Reads the state of the host, over the probe it has or a new one. */
export async function checkHost(host: Host, openProbe: OpenProbe): Promise<void> {
  host.isChecking = true
  try {
    host.probe ??= await openProbe(host.address, host.checks > 0)
    host.state = await host.probe.read()
    host.failure = undefined
  } catch (error) {
    endProbe(host)
    host.state = undefined
    host.failure = error as AppError
  }
  host.isChecking = false
  host.checks++
}

export function endProbe(host: Host): void {
  host.probe?.end()
  host.probe = undefined
}
