// What the servers share; the same protocol as ../serving.py.
import { createServer } from 'node:http'
import { renameSync, writeFileSync } from 'node:fs'
import { json } from 'node:stream/consumers'

const HOST = '127.0.0.1'

/** Tell the tests where this server is, take orders from now on, and end when the tests do. */
export async function announce (url, orders) {
  const control = createServer(async (request, response) => {
    try {
      const result = await orders[request.url.slice(1)](...await json(request))
      response.end(JSON.stringify(result ?? null))
    } catch (error) {
      response.writeHead(500).end(String(error.stack))
    }
  })
  await new Promise(resolve => control.listen(0, HOST, resolve))
  // The tests hold the other end of standard input; however they end, it closes.
  process.stdin.resume().on('end', () => process.exit())
  const target = process.argv[2]
  writeFileSync(`${target}.part`, JSON.stringify({ url, control: `http://${HOST}:${control.address().port}/` }))
  renameSync(`${target}.part`, target)
}

/** Users with their passwords, and the orders that are about them alone. */
export function makeUsers () {
  const users = new Map()
  const locked = new Set()
  const orders = {
    create: (username, password) => { users.set(username, password) },
    lock: username => { locked.add(username) },
    unlock: username => { locked.delete(username) },
    delete: username => { users.delete(username) },
    change_password: (username, password) => { users.set(username, password) }
  }
  return { users, locked, orders }
}
