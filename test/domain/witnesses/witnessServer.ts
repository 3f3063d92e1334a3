import { readUnverified } from '../../../src/domain/transparency/checkpoint.ts'
import { verifyConsistency } from '../../../src/domain/transparency/proofs.ts'
import { createTestWitness } from './testWitness.ts'

/** A witness over HTTP, which behaves as told. */
export interface WitnessServer {
  readonly url: string
  readonly vkey: string
  /** The bodies of all requests. */
  readonly requests: string[]
  /** What it has cosigned. */
  seen: { size: number; root: Buffer }
  /** Replaces its next responses, until it returns undefined. */
  respond: (request: string) => Response | Promise<Response> | undefined
  now: number
  stop(): Promise<void>
}

export function serveWitness(seed: number, others: readonly number[] = []): WitnessServer {
  const keys = [seed, ...others].map((one) => createTestWitness(`witness.example/w${one}`, one))
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 120,
    fetch: async (request) => {
      const body = await request.text()
      witness.requests.push(body)
      const replaced = witness.respond(body)
      if (replaced) return replaced
      if (request.method !== 'POST' || new URL(request.url).pathname !== '/w/add-checkpoint')
        return new Response('', { status: 405 })
      return answer(body)
    },
  })
  const witness: WitnessServer = {
    url: `http://127.0.0.1:${server.port}/w`,
    vkey: keys[0]?.vkey ?? '',
    requests: [],
    seen: { size: 0, root: Buffer.alloc(32) },
    respond: () => undefined,
    now: 1_800_000_000,
    stop: () => server.stop(true),
  }

  function answer(body: string): Response {
    const end = body.indexOf('\n\n') + 2
    const [first = '', ...hashes] = body.slice(0, end - 2).split('\n')
    const note = body.slice(end)
    const checkpoint = readUnverified(note, note.slice(0, note.indexOf('\n')))
    const old = Number(first.slice('old '.length))
    if (!checkpoint) return new Response('', { status: 400 })
    if (old !== witness.seen.size) return conflict(witness.seen.size)
    const proof = hashes.map((hash) => Buffer.from(hash, 'base64'))
    const { size, root } = checkpoint
    const isConsistent =
      old === 0 ? proof.length === 0 : verifyConsistency({ from: old, fromRoot: witness.seen.root, size, root, proof })
    if (!isConsistent) return new Response('', { status: 422 })
    witness.seen = { size, root }
    const text = note.slice(0, note.indexOf('\n\n') + 1)
    return new Response(keys.map((key) => key.cosign(text, witness.now)).join(''))
  }

  return witness
}

export function conflict(size: number): Response {
  return new Response(`${size}\n`, { status: 409, headers: { 'Content-Type': 'text/x.tlog.size' } })
}
