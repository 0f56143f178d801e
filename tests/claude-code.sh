#!/usr/bin/env bash
# Claude Code as the host, outside CI: connects it before there is a login, has the login made in the
# midst of a turn and the server's own tool called in the same turn; then adds the server with the
# very line that the login prints, and asks Claude Code whether it is connected. It runs with a HOME
# of its own in a network namespace that has loopback only, so nothing and nobody outside is reached.
#   tests/claude-code.sh [PATH-OF-MCP-FRONT]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
version=2.1.330
cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/mcp-front-tests

if [ "${1:-}" != --inside ]; then
  binary=${1:-}
  if [ -z "$binary" ]; then
    cargo build --manifest-path "$root/Cargo.toml"
    binary=${CARGO_TARGET_DIR:-$root/target}/debug/mcp-front
  fi
  [ -d "$cache/claude-code-$version/node_modules" ] ||
    npm install --prefix "$cache/claude-code-$version" --no-audit --no-fund "@anthropic-ai/claude-code@$version" >&2
  # tests/run installs the server; a run of no test is enough for that.
  modules=${MCP_FRONT_TEST_NODE_MODULES:-$(find "$cache" -maxdepth 2 -path '*/[0-9]*/node_modules' -print -quit)}
  [ -n "$modules" ] || { echo 'run tests/run first: it installs the server' >&2; exit 1; }
  as_root=()
  [ "$(id -u)" = 0 ] || as_root=(--map-root-user)
  exec unshare --net "${as_root[@]}" -- "$0" --inside "$(realpath "$binary")" "$modules"
fi

binary=$2 modules=$3
ip link set lo up
home=$(mktemp -d)
server='' model=''
finish() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  [ -z "$model" ] || kill "$model" 2>/dev/null || true
  rm -rf "$home"
}
trap finish EXIT

node=$(find "$modules" -maxdepth 3 -path '*/node-linux-*/bin/node' -print -quit)
PATH=${node:+$(dirname "$node"):}$PATH
coproc SERVER { MCP_FRONT_TEST_NODE_MODULES=$modules exec node "$root/tests/node/authorization-server.mjs" 2>/dev/null; }
# shellcheck disable=SC2153 # set by coproc
server=$SERVER_PID
read -r url <&"${SERVER[0]}"

# The person at the browser consents at once.
cat >"$home/browser" <<'SCRIPT'
#!/bin/sh
exec curl --silent --show-error --location --cookie "" --output /dev/null "$1"
SCRIPT
chmod +x "$home/browser"
claude() { "$cache/claude-code-$version/node_modules/.bin/claude" "$@"; }
export HOME=$home BROWSER=$home/browser MCP_FRONT_STORE=file

# Connected before there is a login, and served in the same turn once there is one.
mkfifo "$home/model"
LOGIN=$(node -p 'JSON.stringify(process.argv.slice(1))' -- "$binary" login "$url" --name guarded) \
  node "$root/tests/node/model.mjs" >"$home/model" &
model=$!
exec 5<"$home/model"
read -r origin <&5
jq --null-input --arg binary "$binary" --arg url "$url" \
  '{mcpServers: {guarded: {command: $binary, args: ["bridge", $url]}}}' >"$home/hosts.json"
ANTHROPIC_BASE_URL=$origin ANTHROPIC_API_KEY=none MCP_CONNECTION_NONBLOCKING=0 ENABLE_TOOL_SEARCH=false \
  claude --print --strict-mcp-config --mcp-config "$home/hosts.json" \
  --allowedTools mcp__guarded__mcp_front_login,mcp__guarded__echo -- 'use the server' >&2
read -r -t 10 told <&5
printf '%s\n' "$told" >&2
grep -q 'login http' <<<"$told"
grep -q 'from the server itself' <<<"$told"

said=$("$binary" login "$url" --name guarded --force 2>&1)
printf '%s\n' "$said" >&2
add=$(grep -m1 -o 'claude mcp add .*' <<<"$said")
eval "$add"

connects() {
  listed=$(claude mcp list)
  printf '%s\n' "$listed" >&2
  grep -q 'guarded: .* ✔ Connected' <<<"$listed"
}
connects
# A token that the server has come to refuse is renewed under Claude Code's eyes, unnoticed.
curl --silent --show-error --fail --request POST "${url%/mcp}/refuse"
connects
grep -q '"refreshes":1,' <<<"$(curl --silent --show-error --fail "${url%/mcp}/seen")"
printf 'Claude Code %s was connected before the login and served after it; it is connected, and again after its token was refused\n' "$version"
