# shellcheck shell=bash
# Sourced by tests/run and .ci/run: installing from apt where that can be done.

has() { command -v "$1" >/dev/null 2>&1; }

apt_install() {
  has apt-get && [ "$(id -u)" = 0 ] || return 1
  local get=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120)
  "${get[@]}" install --no-install-recommends -y "$@" >&2 ||
    { "${get[@]}" update >&2 && "${get[@]}" install --no-install-recommends -y "$@" >&2; }
}
