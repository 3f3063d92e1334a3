import { spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from '../endOfFile.ts'

/** A certificate authority made with openssl, and the server certificates it signs. */
export interface Authority {
  /** The file of the CA's certificate. */
  readonly root: string
  /** Returns the key and certificate files for a host name, valid now unless expired. */
  issue(host: string, validity?: 'expired'): { readonly key: string; readonly certificate: string }
}

const rules = `[ca]
default_ca = own
[own]
database = index
new_certs_dir = .
rand_serial = yes
unique_subject = no
default_md = sha256
policy = names
[names]
commonName = supplied
`

export function makeAuthority(): Authority {
  const directory = temporaryDirectory('authority')
  // A server that runs as another user must be able to read them.
  chmodSync(directory, 0o755)
  const openssl = (...args: string[]) => {
    const { status, stderr } = spawnSync('openssl', args, { cwd: directory, encoding: 'utf8' })
    if (status !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`)
  }
  writeFileSync(join(directory, 'rules'), rules)
  writeFileSync(join(directory, 'index'), '')
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl('req', '-x509', ...newKey, '-keyout', 'root.key', '-out', 'root.pem', '-days', '2', '-subj', '/CN=Test CA')
  return {
    root: join(directory, 'root.pem'),
    issue(host, validity) {
      const name = crypto.randomUUID()
      writeFileSync(join(directory, `${name}.ext`), `subjectAltName = DNS:${host}\n`)
      openssl('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${host}`)
      const end = validity === 'expired' ? '20200201000000Z' : '20990101000000Z'
      const signing = ['-cert', 'root.pem', '-keyfile', 'root.key', '-startdate', '20200101000000Z', '-enddate', end]
      const files = ['-in', `${name}.csr`, '-out', `${name}.pem`, '-extfile', `${name}.ext`]
      openssl('ca', '-batch', '-notext', '-config', 'rules', ...signing, ...files)
      return { key: join(directory, `${name}.key`), certificate: join(directory, `${name}.pem`) }
    },
  }
}
