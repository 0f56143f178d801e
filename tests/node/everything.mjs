// The reference server (server-everything) over Streamable HTTP, or over HTTP+SSE where the first
// argument is `sse`, on a free loopback port whatever it asks for. Prints the endpoint's URL.
import net from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [transport, path] = process.argv[2] === 'sse' ? ['sse', 'sse'] : ['streamableHttp', 'mcp'];
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (_port, listening) {
  return listen.call(this, 0, '127.0.0.1', () => {
    console.log(`http://127.0.0.1:${this.address().port}/${path}`);
    listening?.();
  });
};
process.argv[2] = transport;
const file = join(process.env.MCP_FRONT_TEST_NODE_MODULES, '@modelcontextprotocol/server-everything/dist/index.js');
await import(pathToFileURL(file));
