// A host made with the TypeScript SDK of 2026-07-28, which knows no `initialize`. Its server is the
// command of its arguments. What it is to do comes in on stdin, a JSON array a line: an action and what
// that needs; what becomes of it, and what it hears meanwhile, goes out on stdout, a JSON object a line.
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const modules = join(process.env.MCP_FRONT_TEST_NODE_MODULES, '@modelcontextprotocol/client/dist');
const load = (file) => import(pathToFileURL(join(modules, file)));
const { Client } = await load('index.mjs');
const { StdioClientTransport } = await load('stdio.mjs');

const [, , command, ...args] = process.argv;
const say = (what) => console.log(JSON.stringify(what));
const failure = ({ code, message, data }) => ({ failed: { code, message, data } });
const onprogress = ({ progress }) => say({ progress });

let client;
let calledOff;

async function call(name, given = {}, options = {}) {
  const { content } = await client.callTool({ name, arguments: given }, options);
  return content[0].text;
}

const actions = {
  async connect() {
    const capabilities = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };
    const versionNegotiation = { mode: { pin: '2026-07-28' } };
    client = new Client({ name: 'typescript', version: '1' }, { capabilities, versionNegotiation });
    client.setRequestHandler('elicitation/create', ({ params }) => {
      say({ asked: params.message });
      return { action: 'accept', content: { name: 'Ada' } };
    });
    client.setRequestHandler('sampling/createMessage', ({ params }) => {
      say({ asked: [params.messages[0].content].flat()[0].text });
      return { role: 'assistant', model: 'm', content: { type: 'text', text: 'Grace' } };
    });
    client.setNotificationHandler('notifications/tools/list_changed', () => say({ told: 'tools' }));
    await client.connect(new StdioClientTransport({ command, args, env: process.env, stderr: 'inherit' }));
    return client.getServerCapabilities();
  },
  list: async () => (await client.listTools()).tools.map(({ name }) => name).sort(),
  call,
  // Says how the call ends whenever it does.
  async wait() {
    calledOff = new AbortController();
    const waiting = call('wait', {}, { onprogress, signal: calledOff.signal });
    waiting.then((ended) => say({ ended }), (error) => say({ ended: failure(error) }));
  },
  cancel: () => calledOff.abort('enough'),
  listen: async () => (await client.listen({ toolsListChanged: true, promptsListChanged: true })).honoredFilter,
  close: () => client.close(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [action, ...given] = JSON.parse(line);
  try {
    say({ done: (await actions[action](...given)) ?? null });
  } catch (error) {
    say(failure(error));
  }
}
await client?.close();
