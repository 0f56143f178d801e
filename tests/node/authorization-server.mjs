// A real authorization server (oidc-provider: OpenID discovery, dynamic registration, PKCE, resource
// indicators, rotating refresh tokens whose reuse revokes the grant) and an MCP endpoint behind it.
// The person consents at once. Prints the endpoint's URL; GET /seen tells what happened so far, and
// POST /refuse makes the endpoint refuse every access token that is out.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const modules = createRequire(join(process.env.MCP_FRONT_TEST_NODE_MODULES, 'package.json'));
const { Provider } = await import(pathToFileURL(modules.resolve('oidc-provider')));

const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;
const resource = `${issuer}/mcp`;
const scope = 'mcp:read mcp:write';
const seen = { exchanges: 0, refreshes: 0, failures: [], revoked: 0, calls: 0 };
const accepted = new Set();

const provider = new Provider(issuer, {
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope, audience: resource, accessTokenFormat: 'opaque', accessTokenTTL: 3600 }),
    },
  },
  scopes: scope.split(' '),
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: async (_context, client) => client.grantTypeAllowed('refresh_token'),
  findAccount: (_context, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  ttl: { Grant: 86400, Interaction: 600, Session: 86400, RefreshToken: 86400 },
});
provider.on('grant.success', ({ oidc }) => {
  if (oidc.params.grant_type === 'refresh_token') seen.refreshes += 1;
  if (oidc.params.grant_type === 'authorization_code') seen.exchanges += 1;
});
provider.on('grant.error', (_context, error) => seen.failures.push(error.error_detail ?? error.message));
provider.on('access_token.saved', (token) => accepted.add(token.jti));
provider.on('grant.revoked', () => (seen.revoked += 1));

async function interact(request, response) {
  const { params, prompt } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') {
    return provider.interactionFinished(request, response, { login: { accountId: 'tester' } });
  }
  const grant = new provider.Grant({ accountId: 'tester', clientId: params.client_id });
  if (params.scope) grant.addOIDCScope(params.scope);
  grant.addResourceScope(resource, scope);
  const consent = { grantId: await grant.save() };
  return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
}

function reply(response, status, body, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

const results = {
  initialize: (params) => ({
    protocolVersion: params.protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: 'guarded', version: '1' },
  }),
  'tools/list': () => ({ tools: [{ name: 'echo', inputSchema: { type: 'object' } }] }),
  'tools/call': (params) => ({ content: [{ type: 'text', text: params.arguments.text }] }),
};

async function mcp(request, response) {
  const value = request.headers.authorization?.replace(/^Bearer /, '');
  const token = value && (await provider.AccessToken.find(value));
  if (!token || token.aud !== resource || !accepted.has(token.jti)) {
    const metadata = `${issuer}/.well-known/oauth-protected-resource/mcp`;
    return reply(response, 401, { error: 'invalid_token' }, { 'www-authenticate': `Bearer resource_metadata="${metadata}"` });
  }
  if (request.method !== 'POST') return reply(response, 405);
  let text = '';
  for await (const part of request) text += part;
  const message = JSON.parse(text);
  if (message.id === undefined) return reply(response, 202);
  seen.calls += 1;
  return reply(response, 200, { jsonrpc: '2.0', id: message.id, result: results[message.method]?.(message.params) ?? {} });
}

const oidc = provider.callback();
server.on('request', (request, response) => {
  const { pathname } = new URL(request.url, issuer);
  const failed = (error) => reply(response, 500, { error: String(error) });
  if (pathname === '/mcp') return mcp(request, response).catch(failed);
  if (pathname === '/seen') return reply(response, 200, seen);
  if (pathname === '/refuse') {
    accepted.clear();
    return reply(response, 204);
  }
  if (pathname === '/.well-known/oauth-protected-resource/mcp') {
    return reply(response, 200, { resource, authorization_servers: [issuer], scopes_supported: scope.split(' ') });
  }
  if (pathname.startsWith('/interaction/')) return interact(request, response).catch(failed);
  return oidc(request, response);
});
console.log(resource);
