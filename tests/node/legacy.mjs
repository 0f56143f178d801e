// A server made with the TypeScript SDK of the revisions before 2026-07-28, on a free loopback port:
// over Streamable HTTP, or over HTTP+SSE where the first argument is `sse`. Prints the endpoint's URL.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const modules = join(process.env.MCP_FRONT_TEST_NODE_MODULES, '@modelcontextprotocol/sdk/dist/esm');
const load = (file) => import(pathToFileURL(join(modules, file)));
const { Server } = await load('server/index.js');
const { SSEServerTransport } = await load('server/sse.js');
const { StreamableHTTPServerTransport } = await load('server/streamableHttp.js');
const { CallToolRequestSchema, ListToolsRequestSchema } = await load('types.js');

const held = new Set();
let cancelled = 0;

function progress({ sendNotification, _meta }, step) {
  const params = { progressToken: _meta?.progressToken ?? 0, progress: step, total: 2 };
  return sendNotification({ method: 'notifications/progress', params });
}

const tools = {
  echo: (_server, given) => given.text,
  change: async (server) => {
    await server.sendToolListChanged();
    return 'changed';
  },
  progress: async (_server, _given, call) => {
    await progress(call, 1);
    await progress(call, 2);
    return 'done';
  },
  // Ends when it is called off, or let go by `release`.
  wait: async (_server, _given, call) => {
    await progress(call, 0);
    const how = await new Promise((end) => {
      held.add(end);
      call.signal.addEventListener('abort', () => end('aborted'));
    });
    if (how === 'aborted') cancelled += 1;
    return how;
  },
  release: () => {
    for (const end of held) end('released');
    return 'released';
  },
  cancelled: () => String(cancelled),
  ask: async (server, _given, { requestId }) => {
    const requestedSchema = { type: 'object', properties: { name: { type: 'string' } } };
    const answer = await server.elicitInput({ message: 'Who?', requestedSchema }, { relatedRequestId: requestId });
    return JSON.stringify(answer);
  },
  sample: async (server, _given, { requestId }) => {
    const messages = [{ role: 'user', content: { type: 'text', text: 'Who?' } }];
    const answer = await server.createMessage({ messages, maxTokens: 5 }, { relatedRequestId: requestId });
    return JSON.stringify(answer);
  },
};

function build() {
  const server = new Server({ name: 'typescript', version: '1' }, { capabilities: { tools: { listChanged: true } } });
  const listed = Object.keys(tools).map((name) => ({ name, inputSchema: { type: 'object' } }));
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: listed }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, call) => {
    const said = await tools[params.name](server, params.arguments ?? {}, call);
    return { content: [{ type: 'text', text: said }] };
  });
  return server;
}

const sessions = new Map();

async function streamableHttp(request, response) {
  const id = request.headers['mcp-session-id'];
  if (id !== undefined && !sessions.has(id)) return response.writeHead(404).end();
  let transport = sessions.get(id);
  if (transport === undefined) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (opened) => sessions.set(opened, transport),
      onsessionclosed: (closed) => sessions.delete(closed),
    });
    await build().connect(transport);
  }
  return transport.handleRequest(request, response);
}

async function sse(request, response) {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost');
  if (request.method === 'GET' && pathname === '/sse') {
    const transport = new SSEServerTransport('/messages', response);
    sessions.set(transport.sessionId, transport);
    response.on('close', () => sessions.delete(transport.sessionId));
    return build().connect(transport);
  }
  const transport = sessions.get(searchParams.get('sessionId'));
  if (request.method !== 'POST' || transport === undefined) return response.writeHead(404).end();
  return transport.handlePostMessage(request, response);
}

const [serve, path] = process.argv[2] === 'sse' ? [sse, 'sse'] : [streamableHttp, 'mcp'];
const server = createServer(serve);
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
console.log(`http://127.0.0.1:${server.address().port}/${path}`);
