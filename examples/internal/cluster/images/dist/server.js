'use strict';
// Answers with what it has, by lengths: a value would be in a log.
const fs = require('node:fs');

const names = ['GEMINI_API_KEY', 'DATABASE_URL', 'PGPASSWORD', 'TLS_KEY_FILE'];
const length = (name) => (process.env[name] ?? '').length;
const state = () => JSON.stringify({
  pid: process.pid,
  ...Object.fromEntries(names.slice(0, 3).map((name) => [name, length(name)])),
  tls: fs.readFileSync(process.env.TLS_KEY_FILE).length,
  ass: Object.keys(process.env).filter((name) => name.startsWith('ASS_AGENT')),
});

console.log('started', state());
require('node:http').createServer((_, reply) => reply.end(state() + '\n')).listen(3000);
process.on('SIGTERM', () => { console.log('SIGTERM'); process.exit(0); });
