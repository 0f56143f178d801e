// A stdio server over Streamable HTTP, one process a session, for peers that speak HTTP only:
//   node streamable-http.mjs COMMAND [ARGUMENT...]
// Prints the endpoint's URL.
import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const sdk = join(process.env.MCP_FRONT_TEST_NODE_MODULES, '@modelcontextprotocol/sdk/dist/esm');
const load = (file) => import(pathToFileURL(join(sdk, file)));
const { StdioClientTransport } = await load('client/stdio.js');
const { StreamableHTTPServerTransport } = await load('server/streamableHttp.js');

const [command, ...args] = process.argv.slice(2);
const sessions = new Map();
const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const host = `127.0.0.1:${server.address().port}`;

// A session of its own, with a process of its own behind it.
async function open() {
  const http = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => sessions.set(id, http),
    onsessionclosed: (id) => sessions.delete(id),
    enableDnsRebindingProtection: true,
    allowedHosts: [host],
  });
  const child = new StdioClientTransport({ command, args, env: process.env, stderr: 'inherit' });
  const pending = new Set();
  http.onmessage = (message) => {
    if (message.method !== undefined && message.id !== undefined) pending.add(message.id);
    return child.send(message);
  };
  child.onmessage = (message) => {
    // On stdio nothing says which request a message of the server's belongs to: the latest, if any.
    const relatedRequestId = message.method === undefined ? undefined : [...pending].at(-1);
    if (message.method === undefined) pending.delete(message.id);
    return http.send(message, { relatedRequestId });
  };
  http.onclose = () => child.close();
  child.onclose = () => http.close();
  await child.start();
  await http.start();
  return http;
}

server.on('request', async (request, response) => {
  const id = request.headers['mcp-session-id'];
  if (id !== undefined && !sessions.has(id)) return response.writeHead(404).end();
  const http = sessions.get(id) ?? (await open());
  await http.handleRequest(request, response);
  if (http.sessionId === undefined) await http.close();
  return undefined;
});
console.log(`http://${host}/mcp`);
