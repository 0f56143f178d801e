// The client that the public conformance suite tests: a stdio host with the bridge behind it. It
// connects, uses all that the server offers, answers what it is asked, and leaves. The suite starts it
// with the URL of the scenario's server; it exits 1 where something did not work.
//   MCP_FRONT_TEST_BRIDGE  the bridge's executable
//   MCP_FRONT_TEST_HOST    `legacy`: initialize; `modern`: 2026-07-28, falling back as it specifies
//   MCP_FRONT_TEST_WIRE    an address that leads to the URL in the file `server-url`, and stays the same
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';

const DEADLINE = 75_000;
const LEAVING_LIMIT = 5_000;
const UNSUPPORTED_PROTOCOL_VERSION = -32022;
const clientInfo = { name: 'mcp-front-tests', version: '1' };
const clientCapabilities = { elicitation: { form: {} } };

const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');
const bridge = spawn(process.env.MCP_FRONT_TEST_BRIDGE, ['bridge', '--login', ...client(), server()], {
  stdio: ['pipe', 'pipe', 'inherit'],
});
const exited = once(bridge, 'exit');
const waiting = new Map();
let modern = process.env.MCP_FRONT_TEST_HOST === 'modern';
let version = '2026-07-28';
let last = 0;
let rest = '';
bridge.stdout.setEncoding('utf8').on('data', (text) => {
  const lines = (rest + text).split('\n');
  rest = lines.pop();
  for (const line of lines) receive(JSON.parse(line));
});

// The login's client: the scenario's own, or the document that the suite knows.
function client() {
  if (context.client_id === undefined) {
    return ['--client-metadata-url', 'https://conformance-test.local/client-metadata.json'];
  }
  writeFileSync('client-secret', context.client_secret, { mode: 0o600 });
  return ['--client-id', context.client_id, '--client-secret-file', 'client-secret'];
}

// Where the bridge finds the scenario's server.
function server() {
  const [, , url] = process.argv;
  if (process.env.MCP_FRONT_TEST_WIRE === undefined) return url;
  writeFileSync('server-url', url);
  return process.env.MCP_FRONT_TEST_WIRE;
}

function send(message) {
  bridge.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
}

function receive({ id, method, params, ...answer }) {
  if (method === undefined) waiting.get(id)(answer);
  else if (id !== undefined) send({ id, ...answerTo(method, params) });
}

// What the person behind this host says: yes, and whatever the form holds already.
function answerTo(method, params) {
  if (method === 'ping') return { result: {} };
  if (method !== 'elicitation/create') return { error: { code: -32601, message: 'Method not found' } };
  const fields = Object.entries(params.requestedSchema.properties);
  const content = fields.map(([name, schema]) => [name, schema.default ?? true]);
  return { result: { action: 'accept', content: Object.fromEntries(content) } };
}

// Resolves with the `result` or the `error` of the response.
function ask(method, params) {
  const id = (last += 1);
  const answered = new Promise((resolve) => waiting.set(id, resolve));
  const _meta = modern
    ? {
        'io.modelcontextprotocol/protocolVersion': version,
        'io.modelcontextprotocol/clientInfo': clientInfo,
        'io.modelcontextprotocol/clientCapabilities': clientCapabilities,
      }
    : undefined;
  send({ id, method, params: { ...params, _meta } });
  return answered;
}

// Resolves with the result, after as many rounds of questions as the server wants.
async function use(method, params) {
  const { result, error } = await ask(method, params);
  if (error) throw new Error(`${method}: ${error.code} ${error.message}`);
  if (result.resultType !== 'input_required') return result;
  const { inputRequests = {}, requestState } = result;
  const answers = Object.entries(inputRequests).map(([key, asked]) => [key, answerTo(asked.method, asked.params).result]);
  return use(method, { ...params, inputResponses: Object.fromEntries(answers), requestState });
}

// Resolves with the server's capabilities.
async function connect() {
  if (modern) {
    let { result, error } = await ask('server/discover');
    if (error?.code === UNSUPPORTED_PROTOCOL_VERSION) {
      version = error.data.supported.find((supported) => supported >= version);
      ({ result } = await ask('server/discover'));
    }
    if (result) return result.capabilities;
    modern = false;
  }
  const params = { protocolVersion: '2025-11-25', capabilities: clientCapabilities, clientInfo };
  const { capabilities } = await use('initialize', params);
  send({ method: 'notifications/initialized' });
  return capabilities;
}

// Whether the scenario's server takes calls: one only shows a schema.
function isCallable() {
  return process.env.MCP_CONFORMANCE_SCENARIO !== 'json-schema-ref-no-deref';
}

// Arguments as the tool's schema wants them; the object that the suite wants back is its first schema.
function argumentsFor({ inputSchema }, tools) {
  const values = { number: 2, integer: 2, string: 'text', boolean: true, object: tools[0].inputSchema };
  const properties = Object.entries(inputSchema.properties ?? {});
  return Object.fromEntries(properties.map(([name, { type }]) => [name, values[type]]));
}

async function useAll() {
  const offered = await connect();
  if (offered.tools) {
    const { tools } = await use('tools/list');
    const calls = context.toolCalls ?? tools.filter(isCallable).map((tool) => ({ name: tool.name, arguments: argumentsFor(tool, tools) }));
    await Promise.all(calls.map((call) => use('tools/call', call)));
  }
  if (offered.resources) {
    const { resources } = await use('resources/list');
    for (const { uri } of resources) await use('resources/read', { uri });
  }
  if (offered.prompts) {
    const { prompts } = await use('prompts/list');
    for (const { name } of prompts) await use('prompts/get', { name });
  }
}

async function late(limit, what) {
  await after(limit, undefined, { ref: false });
  throw new Error(what);
}

try {
  const ended = exited.then(([status]) => Promise.reject(new Error(`the bridge ended with ${status}`)));
  await Promise.race([useAll(), ended, late(DEADLINE, 'an answer does not come')]);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
bridge.stdin.end();
try {
  const [status] = await Promise.race([exited, late(LEAVING_LIMIT, 'the bridge does not end')]);
  if (status !== 0) throw new Error(`the bridge ended with ${status}`);
} catch (error) {
  console.error(error.message);
  bridge.kill('SIGKILL');
  process.exitCode = 1;
}
