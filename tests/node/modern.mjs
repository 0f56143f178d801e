// A server made with the TypeScript SDK of 2026-07-28, on a free loopback port. With the argument
// `dual` it keeps sessions of the revisions before it too. Prints the endpoint's URL.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { Readable, pipeline } from 'node:stream';
import { pathToFileURL } from 'node:url';

const file = join(process.env.MCP_FRONT_TEST_NODE_MODULES, '@modelcontextprotocol/server/dist/index.mjs');
const sdk = await import(pathToFileURL(file));
const { McpServer, WebStandardStreamableHTTPServerTransport, createMcpHandler, inputRequired } = sdk;

const text = (said) => ({ content: [{ type: 'text', text: String(said) }] });
const held = new Set();
let cancelled = 0;

// What is asked of the host becomes a request of the server's own in the revisions before.
function asking(request) {
  return (_given, { mcpReq }) => {
    const answer = mcpReq.inputResponses?.asked;
    if (answer !== undefined) return text(JSON.stringify(answer));
    return inputRequired({ inputRequests: { asked: request }, requestState: 'größer=' });
  };
}

function build({ era }) {
  const server = new McpServer({ name: 'typescript', version: '1' }, { capabilities: { tools: { listChanged: true } } });
  const tool = (name, properties, call) =>
    server.registerTool(name, { description: name, inputSchema: sdk.fromJsonSchema({ type: 'object', properties }) }, call);
  const progress = (mcpReq, step) => {
    const { progressToken } = mcpReq._meta ?? {};
    return mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress: step, total: 2 } });
  };
  tool('echo', { text: { type: 'string', 'x-mcp-header': 'Text' } }, ({ text: said }) => text(said));
  tool('change', {}, () => {
    if (era === 'modern') handler.notify.toolsChanged();
    else server.sendToolListChanged();
    return text('changed');
  });
  tool('progress', {}, async (_given, { mcpReq }) => {
    await progress(mcpReq, 1);
    await progress(mcpReq, 2);
    return text('done');
  });
  // Ends when it is called off, or let go by `release`.
  tool('wait', {}, async (_given, { mcpReq }) => {
    await progress(mcpReq, 0);
    const how = await new Promise((end) => {
      held.add(end);
      mcpReq.signal.addEventListener('abort', () => end('aborted'));
    });
    if (how === 'aborted') cancelled += 1;
    return text(how);
  });
  tool('release', {}, () => {
    for (const end of held) end('released');
    return text('released');
  });
  tool('cancelled', {}, () => text(cancelled));
  const requestedSchema = { type: 'object', properties: { name: { type: 'string' } } };
  tool('ask', {}, asking(inputRequired.elicit({ message: 'Who?', requestedSchema })));
  const messages = [{ role: 'user', content: { type: 'text', text: 'Who?' } }];
  tool('sample', {}, asking(inputRequired.createMessage({ messages, maxTokens: 5 })));
  return server;
}

const handler = createMcpHandler(build, { legacy: 'reject', keepAliveMs: 1000 });
const sessions = new Map();

async function withSession(request) {
  const id = request.headers.get('mcp-session-id');
  if (id !== null && !sessions.has(id)) return new Response(null, { status: 404 });
  let transport = sessions.get(id);
  if (transport === undefined) {
    transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (opened) => sessions.set(opened, transport),
      onsessionclosed: (closed) => sessions.delete(closed),
    });
    await build({ era: 'legacy' }).connect(transport);
  }
  return transport.handleRequest(request);
}

const isDual = process.argv[2] === 'dual';
const server = createServer(async (incoming, outgoing) => {
  const body = incoming.method === 'POST' ? Readable.toWeb(incoming) : undefined;
  const gone = new AbortController();
  outgoing.on('close', () => gone.abort());
  const url = `http://${incoming.headers.host}${incoming.url}`;
  const { method, headers } = incoming;
  const request = new Request(url, { method, headers, body, duplex: 'half', signal: gone.signal });
  const isLegacy = isDual && (await sdk.isLegacyRequest(request));
  const response = await (isLegacy ? withSession(request) : handler.fetch(request));
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  if (response.body === null) return outgoing.end();
  outgoing.flushHeaders();
  // Whichever end goes takes the other with it.
  return pipeline(Readable.fromWeb(response.body), outgoing, () => {});
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
console.log(`http://127.0.0.1:${server.address().port}/mcp`);
