// A server made with the TypeScript SDK of 2026-07-28, on a free loopback port. With the argument
// `reject` it speaks no other revision, with `stateless` those before it too. Prints the endpoint's URL.
import { createServer } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';

const file = join(process.env.MCP_FRONT_TEST_NODE_MODULES, '@modelcontextprotocol/server/dist/index.mjs');
const { McpServer, createMcpHandler, fromJsonSchema, inputRequired } = await import(pathToFileURL(file));

const object = (properties) => fromJsonSchema({ type: 'object', properties });
const text = (said) => ({ content: [{ type: 'text', text: String(said) }] });
let cancelled = 0;

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: 'typescript', version: '1' }, { capabilities: { tools: { listChanged: true } } });
  const tool = (name, properties, call) =>
    server.registerTool(name, { description: name, inputSchema: object(properties) }, call);
  tool('echo', { text: { type: 'string', 'x-mcp-header': 'Text' } }, ({ text: said }) => text(said));
  tool('change', {}, () => {
    handler.notify.toolsChanged();
    return text('changed');
  });
  tool('progress', {}, async (_given, { mcpReq }) => {
    const { progressToken } = mcpReq._meta ?? {};
    for (const progress of [1, 2]) {
      await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 2 } });
    }
    return text('done');
  });
  tool('wait', {}, async (_given, { mcpReq }) => {
    await mcpReq.notify({ method: 'notifications/progress', params: { progressToken: 'wait', progress: 0 } });
    await new Promise((aborted) => mcpReq.signal.addEventListener('abort', aborted));
    cancelled += 1;
    return text('aborted');
  });
  tool('cancelled', {}, () => text(cancelled));
  tool('ask', {}, (_given, { mcpReq }) => {
    const answer = mcpReq.inputResponses?.name;
    if (answer !== undefined) return text(JSON.stringify(answer.content ?? answer));
    const requestedSchema = { type: 'object', properties: { name: { type: 'string' } } };
    return inputRequired({ inputRequests: { name: inputRequired.elicit({ message: 'Who?', requestedSchema }) } });
  });
  return server;
}, { legacy: process.argv[2] ?? 'reject', keepAliveMs: 1000 });

const server = createServer(async (incoming, outgoing) => {
  const body = incoming.method === 'POST' ? Readable.toWeb(incoming) : undefined;
  const gone = new AbortController();
  outgoing.on('close', () => gone.abort());
  const url = `http://${incoming.headers.host}${incoming.url}`;
  const { method, headers } = incoming;
  const response = await handler.fetch(new Request(url, { method, headers, body, duplex: 'half', signal: gone.signal }));
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  if (response.body === null) return outgoing.end();
  outgoing.flushHeaders();
  return Readable.fromWeb(response.body).on('error', () => outgoing.destroy()).pipe(outgoing);
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
console.log(`http://127.0.0.1:${server.address().port}/mcp`);
