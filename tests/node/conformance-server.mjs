// The far end in the server scenarios of the public conformance suite, on stdio: the tools, prompts
// and resources that the suite's descriptions call for, and nothing else.
const picture = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
const sound = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=';
const text = (said) => ({ type: 'text', text: said });
const image = { type: 'image', data: picture, mimeType: 'image/png' };
const embedded = (uri, mimeType, said) => ({ type: 'resource', resource: { uri, mimeType, text: said } });
const object = (properties = {}, rest = {}) => ({ type: 'object', properties, ...rest });
const string = { type: 'string' };
const choice = (...values) => ({ type: 'string', enum: values });
const titled = [1, 2, 3].map((number) => ({ const: `value${number}`, title: `Option ${number}` }));

// Asks the host's person to fill in a form, and tells what came back.
const form = (properties, rest) => async (given) => {
  const requestedSchema = object(properties, rest);
  const { action, content } = await ask('elicitation/create', { message: given.message ?? 'Please', requestedSchema });
  return [text(`${action}: ${JSON.stringify(content)}`)];
};

const tools = {
  test_simple_text: { call: () => [text('This is a simple text response for testing.')] },
  test_image_content: { call: () => [image] },
  test_audio_content: { call: () => [{ type: 'audio', data: sound, mimeType: 'audio/wav' }] },
  test_embedded_resource: { call: () => [embedded('test://embedded-resource', 'text/plain', 'embedded')] },
  test_multiple_content_types: {
    call: () => [text('mixed'), image, embedded('test://mixed-content-resource', 'application/json', '{"test":"data"}')],
  },
  test_error_handling: { isError: true, call: () => [text('This tool intentionally returns an error for testing')] },
  test_tool_with_logging: {
    call: () => {
      for (const data of ['started', 'processing', 'completed']) tell('notifications/message', { level: 'info', data });
      return [text('logged')];
    },
  },
  test_tool_with_progress: {
    call: (_given, { progressToken }) => {
      for (const progress of [0, 50, 100]) tell('notifications/progress', { progressToken, progress, total: 100 });
      return [text('progressed')];
    },
  },
  test_reconnection: { call: () => [text('reconnected')] },
  test_sampling: {
    schema: object({ prompt: string }, { required: ['prompt'] }),
    call: async ({ prompt }) => {
      const messages = [{ role: 'user', content: text(prompt) }];
      const sampled = await ask('sampling/createMessage', { messages, maxTokens: 100 });
      return [text(`The model said: ${sampled.content.text}`)];
    },
  },
  test_elicitation: {
    schema: object({ message: string }, { required: ['message'] }),
    call: form({ username: string, email: string }, { required: ['username', 'email'] }),
  },
  test_elicitation_sep1034_defaults: {
    call: form({
      name: { type: 'string', default: 'John Doe' },
      age: { type: 'integer', default: 30 },
      score: { type: 'number', default: 95.5 },
      status: { ...choice('active', 'inactive', 'pending'), default: 'active' },
      verified: { type: 'boolean', default: true },
    }),
  },
  test_elicitation_sep1330_enums: {
    call: form({
      untitledSingle: choice('option1', 'option2', 'option3'),
      titledSingle: { type: 'string', oneOf: titled },
      legacyEnum: { ...choice('opt1', 'opt2', 'opt3'), enumNames: ['Option One', 'Option Two', 'Option Three'] },
      untitledMulti: { type: 'array', items: choice('option1', 'option2', 'option3') },
      titledMulti: { type: 'array', items: { anyOf: titled } },
    }),
  },
  json_schema_2020_12_tool: {
    schema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      ...object({ name: string, address: { $ref: '#/$defs/address' }, contactMethod: choice('phone', 'email'), phone: string, email: string }),
      $defs: { address: { $anchor: 'addressDef', ...object({ street: string, city: string }) } },
      allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
      if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
      then: { required: ['phone'] },
      else: { required: ['email'] },
      additionalProperties: false,
    },
    call: (given) => [text(JSON.stringify(given))],
  },
};

const prompts = {
  test_simple_prompt: { get: () => [text('This is a simple prompt for testing.')] },
  test_prompt_with_arguments: {
    takes: ['arg1', 'arg2'],
    get: ({ arg1, arg2 }) => [text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)],
  },
  test_prompt_with_embedded_resource: {
    takes: ['resourceUri'],
    get: ({ resourceUri }) => [embedded(resourceUri, 'text/plain', 'embedded'), text('See above.')],
  },
  test_prompt_with_image: { get: () => [image, text('See above.')] },
};

const resources = {
  'test://static-text': { mimeType: 'text/plain', text: 'This is the content of the static text resource.' },
  'test://static-binary': { mimeType: 'image/png', blob: picture },
  'test://watched-resource': { mimeType: 'text/plain', text: 'watched' },
};
const template = /^test:\/\/template\/(?<id>[^/]+)\/data$/;

function read(uri) {
  const id = template.exec(uri)?.groups.id;
  if (id === undefined) return resources[uri] ?? refuse(-32002, 'Resource not found');
  return { mimeType: 'application/json', text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) };
}

const methods = {
  initialize: ({ protocolVersion }) => ({
    protocolVersion,
    capabilities: { completions: {}, logging: {}, prompts: {}, resources: { subscribe: true }, tools: {} },
    serverInfo: { name: 'conformance', version: '1' },
  }),
  ping: () => ({}),
  'logging/setLevel': () => ({}),
  'completion/complete': () => ({ completion: { values: ['test'], total: 1, hasMore: false } }),
  'tools/list': () => ({
    tools: Object.entries(tools).map(([name, tool]) => ({ name, description: name, inputSchema: tool.schema ?? object() })),
  }),
  'tools/call': async ({ name, arguments: given = {}, _meta = {} }) => {
    const tool = tools[name] ?? refuse(-32602, 'Unknown tool');
    return { content: await tool.call(given, _meta), isError: tool.isError };
  },
  'prompts/list': () => ({
    prompts: Object.entries(prompts).map(([name, { takes = [] }]) => ({
      name,
      description: name,
      arguments: takes.map((argument) => ({ name: argument, required: true })),
    })),
  }),
  'prompts/get': ({ name, arguments: given = {} }) => {
    const prompt = prompts[name] ?? refuse(-32602, 'Unknown prompt');
    return { messages: prompt.get(given).map((content) => ({ role: 'user', content })) };
  },
  'resources/list': () => ({
    resources: Object.entries(resources).map(([uri, { mimeType }]) => ({ uri, name: uri, mimeType })),
  }),
  'resources/templates/list': () => ({
    resourceTemplates: [{ uriTemplate: 'test://template/{id}/data', name: 'template', mimeType: 'application/json' }],
  }),
  'resources/read': ({ uri }) => ({ contents: [{ uri, ...read(uri) }] }),
  'resources/subscribe': () => ({}),
  'resources/unsubscribe': () => ({}),
};

const waiting = new Map();

function send(message) {
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
}

function tell(method, params) {
  send({ method, params });
}

function ask(method, params) {
  const id = `ask-${waiting.size}`;
  const answered = new Promise((resolve) => waiting.set(id, resolve));
  send({ id, method, params });
  return answered;
}

function refuse(code, message) {
  throw Object.assign(new Error(message), { code });
}

async function receive({ id, method, params, result }) {
  if (method === undefined) return waiting.get(id)(result);
  if (id === undefined) return undefined;
  try {
    const serve = methods[method] ?? refuse(-32601, 'Method not found');
    return send({ id, result: await serve(params) });
  } catch ({ code = -32603, message }) {
    return send({ id, error: { code, message } });
  }
}

let rest = '';
for await (const chunk of process.stdin.setEncoding('utf8')) {
  const lines = (rest + chunk).split('\n');
  rest = lines.pop();
  for (const line of lines) receive(JSON.parse(line));
}
