// The reference server (server-everything) over Streamable HTTP, on a free loopback port whatever it
// asks for. Prints the endpoint's URL.
import net from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (_port, listening) {
  return listen.call(this, 0, '127.0.0.1', () => {
    console.log(`http://127.0.0.1:${this.address().port}/mcp`);
    listening?.();
  });
};
process.argv[2] = 'streamableHttp';
const file = join(process.env.MCP_FRONT_TEST_NODE_MODULES, '@modelcontextprotocol/server-everything/dist/index.js');
await import(pathToFileURL(file));
