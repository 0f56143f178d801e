// A scripted model behind the Messages API, for a turn of Claude Code without anything outside: it
// calls the tool that stands in for the server, has the login made meanwhile (the command in
// LOGIN), calls the same tool again, and then the server's own. Prints its origin; at the end of
// the turn it prints what the tools said.
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import { promisify } from 'node:util';

const [login, ...loginArguments] = JSON.parse(process.env.LOGIN);
const placeholder = 'mcp__guarded__mcp_front_login';
const own = 'mcp__guarded__echo';
const said = [];
let turn = 0;

/** What the model does next, given what it was told and which tools it has. */
async function next(body) {
  const tools = (body.tools ?? []).map((tool) => tool.name);
  const results = body.messages.flatMap(({ content }) => (Array.isArray(content) ? content : []));
  const last = results.filter(({ type }) => type === 'tool_result').at(-1);
  if (last) said.push(JSON.stringify(last.content));
  turn += 1;
  switch (turn) {
    case 1:
      return call(placeholder, {});
    case 2:
      await promisify(execFile)(login, loginArguments);
      return call(placeholder, {});
    default:
      // The list is fetched anew in its own time; the tool that stood in says so when it is called.
      if (tools.includes(own) && !said.at(-1).includes('from the server itself')) {
        return call(own, { text: 'from the server itself' });
      }
      if (!tools.includes(own) && turn < 20) return call(placeholder, {});
      console.log(JSON.stringify(said));
      return { type: 'text', text: 'done' };
  }
}

function call(name, input) {
  return { type: 'tool_use', id: `toolu_${turn}`, name, input };
}

/** One message as the API streams it. */
function stream(response, block) {
  const isCall = block.type === 'tool_use';
  const send = (event) => response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  const usage = { input_tokens: 1, output_tokens: 1 };
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const message = { id: `msg_${turn}`, type: 'message', role: 'assistant', model: 'scripted', content: [], usage };
  send({ type: 'message_start', message: { ...message, stop_reason: null, stop_sequence: null } });
  const start = isCall ? { ...block, input: {} } : { ...block, text: '' };
  send({ type: 'content_block_start', index: 0, content_block: start });
  const delta = isCall
    ? { type: 'input_json_delta', partial_json: JSON.stringify(block.input) }
    : { type: 'text_delta', text: block.text };
  send({ type: 'content_block_delta', index: 0, delta });
  send({ type: 'content_block_stop', index: 0 });
  const stopReason = isCall ? 'tool_use' : 'end_turn';
  send({ type: 'message_delta', delta: { stop_reason: stopReason, stop_sequence: null }, usage });
  send({ type: 'message_stop' });
  response.end();
}

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = chunks.length ? JSON.parse(Buffer.concat(chunks)) : {};
  if (!request.url.startsWith('/v1/messages') || request.url.includes('count_tokens')) {
    response.writeHead(request.url.includes('count_tokens') ? 200 : 404, { 'content-type': 'application/json' });
    return response.end('{"input_tokens":1}');
  }
  // Claude Code asks for titles and the like on the side, without tools.
  const block = body.tools?.length ? await next(body) : { type: 'text', text: 'a turn' };
  if (body.stream) return stream(response, block);
  response.writeHead(200, { 'content-type': 'application/json' });
  const usage = { input_tokens: 1, output_tokens: 1 };
  const stop = block.type === 'tool_use' ? 'tool_use' : 'end_turn';
  return response.end(
    JSON.stringify({ id: `msg_${turn}`, type: 'message', role: 'assistant', model: 'scripted', content: [block], stop_reason: stop, usage }),
  );
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
