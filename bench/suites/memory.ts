import { type Service, withService } from '../database/service.ts'
import { load } from '../load/client.ts'
import { get } from '../load/requests.ts'
import type { Started } from '../machine/process.ts'
import { peakDuring, residentMegabytes } from '../machine/readings.ts'
import { rounds, seconds } from '../options.ts'
import { startReference } from '../reference/reference.ts'
import type { Row } from '../report/row.ts'
import { names } from '../report/targets.ts'

/** Resident memory of new processes, next to that of the reference server. */
export async function measureMemory(): Promise<Row[]> {
  const select: number[] = []
  const selectLoad: number[] = []
  const idle: number[] = []
  const underLoad: number[] = []
  const afterStorm: number[] = []
  await withService(async (service) => {
    const requests = service.tokens.map((token) => get('/api/auth/me', token))
    const measureLoad = async (started: Started) => {
      await Bun.sleep(1000)
      const before = residentMegabytes(started.process)
      const peak = await peakDuring(started.process, load({ port: started.port, seconds: seconds * 2, requests }))
      await started.stop()
      return { before, peak }
    }
    for (let round = 0; round < rounds; round++) {
      const reference = await measureLoad(await startReference('select', service.databaseUrl))
      select.push(reference.before)
      selectLoad.push(reference.peak)
      const own = await measureLoad(await service.startAnother())
      idle.push(own.before)
      underLoad.push(own.peak)
      afterStorm.push(await growthByStorm(service))
    }
  })
  return [
    { what: 'memory of Bun.serve + one prepared SELECT, idle, MB', values: select },
    { what: 'memory of Bun.serve + one prepared SELECT, under load, MB', values: selectLoad },
    { what: names.idleMemory, values: idle },
    { what: names.loadMemory, values: underLoad },
    { what: names.stormMemory, values: afterStorm },
  ]
}

/** Returns how much more memory a process has ten seconds after a login storm than before it. */
async function growthByStorm({ startAnother, logins }: Service): Promise<number> {
  const started = await startAnother()
  await Bun.sleep(1000)
  const before = residentMegabytes(started.process)
  await load({ port: started.port, connections: 16, seconds: 5, requests: logins })
  await Bun.sleep(10_000)
  const after = residentMegabytes(started.process)
  await started.stop()
  return after - before
}
