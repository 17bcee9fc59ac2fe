// An HTTP/2 server that takes one byte of each request at a time:
// window.js PORT VAULT-PORT CERT KEY
const [port, vault, cert, key] = process.argv.slice(2);
const fs = require('node:fs');
const http = require('node:http');
const server = require('node:http2').createSecureServer({
  cert: fs.readFileSync(cert), key: fs.readFileSync(key), settings: { initialWindowSize: 1 },
});
server.on('request', (request, response) => {
  const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !name.startsWith(':')));
  const onward = http.request({ host: '127.0.0.1', port: vault, method: request.method, path: request.url, headers }, (reply) => {
    response.writeHead(reply.statusCode, { 'content-type': reply.headers['content-type'] });
    reply.pipe(response);
  });
  onward.on('error', () => response.stream.close());
  request.pipe(onward);
});
server.listen(Number(port), '127.0.0.1');
