// Drives a server with the official client, and prints what came of it as JSON:
//   node client.mjs '{"command": …, "args": […], "env": {…}, "call": {"name": …, "arguments": {…}}}'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'

const { call, starts = 1, ...server } = JSON.parse(process.argv[2])
const seen = { tools: [], results: [], lines: [], errors: [], stderr: '', closed: [], failed: '' }

async function session() {
  // Of our own environment a server gets HOME, PATH, SHELL, TERM and the like.
  const transport = new StdioClientTransport({ ...server, stderr: 'pipe' })
  transport.stderr.on('data', (text) => { seen.stderr += text })
  const start = transport.start.bind(transport)
  let output = ''
  transport.start = async () => {
    await start()
    transport._process.stdout.on('data', (text) => { output += text })
  }
  const client = new Client({ name: 'ass-exec-test', version: '1' })
  client.onerror = (error) => seen.errors.push(String(error))
  try {
    await client.connect(transport)
    seen.tools = (await client.listTools()).tools.map((tool) => tool.name)
    if (call) seen.results.push(await client.callTool(call).catch((error) => ({ error: String(error) })))
  } catch (error) {
    seen.failed = String(error)
  }
  const from = performance.now()
  await client.close()
  seen.closed.push(performance.now() - from)
  seen.lines.push(...output.split('\n').filter((line) => line !== ''))
}

for (let i = 0; i < starts; i++) await session()
console.log(JSON.stringify(seen))
