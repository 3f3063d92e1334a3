import { dlopen } from 'bun:ffi'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { emptyDirectory } from '../binary/binary.ts'
import { hasProgram } from '../requirements.ts'
import { settings } from './workload.ts'

/**
 * A small ext4 file system in a mount namespace that no other process sees and that ends with the
 * test.
 */
export interface Disk {
  /** The DATA_DIR on it. */
  readonly path: string
  /** The prefix of a command that is to see the disk. */
  readonly command: readonly string[]
  fill(): void
  makeRoom(): void
  freeze(): void
  thaw(): void
  /** Simulates a power cut: unsynced data is gone and the disk no longer responds. */
  cutPower(): void
  /** Remounts the file system read-only under its writers, as after a disk error. */
  turnReadOnly(): void
  /** Mounts it again, as after a reboot. */
  remount(options?: string): void
  release(): Promise<void>
}

export const hasDisks = canMount()

async function makeDisk(megabytes: number): Promise<Disk> {
  const directory = emptyDirectory()
  const image = join(directory, 'image')
  const mount = join(directory, 'mount')
  mkdirSync(mount)
  writeFileSync(image, '')
  truncateSync(image, megabytes * 1_048_576)
  succeed('mkfs.ext4', '-q', '-F', '-m', '0', image)
  const holder = spawn('unshare', ['--mount', 'sh', '-c', 'echo here; cat'], { stdio: ['pipe', 'pipe', 'inherit'] })
  await once(holder.stdout, 'data')
  const command = ['nsenter', '--target', String(holder.pid), '--mount']
  const inside = (...args: string[]) => succeed(...command, ...args)
  const seen = `/proc/${holder.pid}/root${mount}`
  inside('mount', '-o', 'loop', image, mount)
  return {
    path: join(mount, 'data'),
    command,
    fill: () => fillUp(join(seen, 'filler')),
    makeRoom: () => rmSync(join(seen, 'filler')),
    freeze: () => inside('fsfreeze', '--freeze', mount),
    thaw: () => inside('fsfreeze', '--unfreeze', mount),
    cutPower: () => shutDown(seen),
    turnReadOnly: () => inside('mount', '-o', 'remount,abort', mount),
    remount: (options = 'loop') => {
      inside('umount', mount)
      inside('mount', '-o', options, image, mount)
    },
    release: () => release(holder, directory),
  }
}

function canMount(): boolean {
  const programs = ['unshare', 'nsenter', 'fsfreeze'].every((name) => hasProgram(name, 'util-linux'))
  if (!programs || !hasProgram('mkfs.ext4', 'e2fsprogs')) return false
  const image = join(emptyDirectory(), 'image')
  writeFileSync(image, '')
  truncateSync(image, 8_388_608)
  const script = `mkfs.ext4 -q -F ${image} && mount -o loop ${image} /mnt`
  if (spawnSync('unshare', ['--mount', 'sh', '-c', script]).status === 0) return true
  if (process.env.CI === 'true') throw new Error('no disk image can be mounted here: this needs root and loop devices')
  console.log('skipped: no disk image can be mounted here (root and loop devices are needed)')
  return false
}

function succeed(...[file = '', ...args]: string[]): void {
  const { status, stderr } = spawnSync(file, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${file} ${args.join(' ')}: ${stderr}`)
}

function fillUp(file: string): void {
  const descriptor = openSync(file, 'w')
  for (const size of [65_536, 1024]) {
    const chunk = new Uint8Array(size)
    try {
      for (;;) writeSync(descriptor, chunk)
    } catch {
      // As full as this size gets.
    }
  }
  closeSync(descriptor)
}

/** EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH, which exists for tests like this one. */
function shutDown(path: string): void {
  const { symbols } = dlopen('libc.so.6', { ioctl: { args: ['i32', 'u64', 'ptr'], returns: 'i32' } })
  const descriptor = openSync(path, 'r')
  const result = symbols.ioctl(descriptor, 0x8004587d, new Uint32Array([2]))
  closeSync(descriptor)
  if (result !== 0) throw new Error('the file system cannot be shut down')
}

async function release(holder: ChildProcess, directory: string): Promise<void> {
  const ended = once(holder, 'exit')
  holder.stdin?.end()
  await ended
  rmSync(directory, { recursive: true, force: true })
}

/** What starts a server or a command with its data on the disk. */
export const place = (disk: Disk) => ({
  command: disk.command,
  environment: { ...settings, HOST: '127.0.0.1', PORT: '0', DATA_DIR: disk.path },
})

/** Makes a disk for some work. */
export async function onDisk(work: (disk: Disk) => Promise<void>, megabytes = 48): Promise<void> {
  const disk = await makeDisk(megabytes)
  try {
    await work(disk)
  } finally {
    await disk.release()
  }
}
