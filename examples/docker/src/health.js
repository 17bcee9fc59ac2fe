'use strict';

const http = require('node:http');
const ms = require('ms');

// serveHealth answers /health with the names and the lengths of the secrets,
// never with their values, and with 503 if one is not there.
exports.serveHealth = (names) => {
  const lengths = Object.fromEntries(names.map((name) => [name, (process.env[name] ?? '').length]));
  const status = Object.values(lengths).includes(0) ? 503 : 200;

  const server = http.createServer((request, response) => {
    response.writeHead(request.url === '/health' ? status : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(lengths) + '\n');
  });
  server.keepAliveTimeout = ms('5s');
  server.listen(3000);

  // A process with pid 1 that does not handle SIGTERM ignores it.
  process.on('SIGTERM', () => process.exit(0));
};
