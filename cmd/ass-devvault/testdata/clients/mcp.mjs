// Calls every tool of the official MCP server over its standard input.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const server = spawn('node_modules/.bin/ass-mcp', { stdio: ['pipe', 'pipe', 'inherit'] })
const waiting = new Map()
createInterface({ input: server.stdout }).on('line', (line) => {
  const reply = JSON.parse(line)
  waiting.get(reply.id)?.(reply)
})
let last = 0
function ask(method, params) {
  const id = ++last
  server.stdin.write(JSON.stringify({ jsonrpc: '2.0', id, method, params }) + '\n')
  return new Promise((resolve) => waiting.set(id, resolve))
}
async function tool(name, args) {
  const reply = await ask('tools/call', { name, arguments: args })
  console.log(`mcp ${name}`)
  return reply.result?.content?.[0]?.text ?? JSON.stringify(reply)
}

await ask('initialize', { protocolVersion: '2024-11-05', capabilities: {}, clientInfo: { name: 'test', version: '0' } })
server.stdin.write(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }) + '\n')
const called = []
const { result } = await ask('tools/list', {})
async function check(name, args, want) {
  called.push(name)
  const text = await tool(name, args)
  assert.match(text, want, `${name}: ${text}`)
  return text
}
await check('set_secret', { namespace: 'mcp/deep', key: 'K', value: 'from mcp' }, /"version": 1/)
await check('get_secret', { namespace: 'mcp/deep', key: 'K' }, /"value": "from mcp"/)
await check('list_secrets', { namespace: 'mcp/deep' }, /"key": "K"/)
await check('list_namespaces', {}, /mcp\/deep/)
await check('delete_secret', { namespace: 'mcp/deep', key: 'K' }, /requires_human_auth|human/)
await check('rotate_secret', { namespace: 'mcp/deep', key: 'K' }, /requires_human_auth|human/)
await check('request_token', { scopes: ['secrets:read:mcp/*'], ttl: '15m' }, /token/)
await check('set_secret', { namespace: 'mcp-guarded', key: 'K', value: 'v', access_tier: 'sensitive' }, /"access_tier": "sensitive"/)
const held = await check('get_secret', { namespace: 'mcp-guarded', key: 'K' }, /apr_\d+/)
await check('get_approval_status', { approval_id: held.match(/apr_\d+/)[0] }, /"status": "pending"/)
assert.deepEqual(new Set(called), new Set(result.tools.map((t) => t.name)))
server.kill()
