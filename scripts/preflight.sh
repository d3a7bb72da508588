#!/bin/sh
# Says in one line what is missing on this machine, before anything is built.
PYTHON=${PYTHON:-python3}
fail() { echo "fairlead: $1" >&2; exit 1; }

command -v "$PYTHON" >/dev/null 2>&1 || fail "$PYTHON is missing: install Python 3.11 or newer (Debian: apt-get install python3 python3-venv)"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$PYTHON is older than 3.11: install a newer one, or name it with make PYTHON=python3.13"
"$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || fail "$PYTHON has no venv module: install it (Debian: apt-get install python3-venv)"
command -v cargo >/dev/null 2>&1 || fail "cargo is missing: install a stable Rust toolchain (rustup, or Debian: apt-get install rustup && rustup default stable)"
command -v cc >/dev/null 2>&1 || fail "a C linker is missing: install one (Debian: apt-get install gcc libc6-dev)"
[ "${1:-}" != node ] || { command -v node && command -v npm; } >/dev/null 2>&1 ||
    fail "node or npm is missing, which \`make test-compat\` and \`make bench-peers\` need: install Node.js 20 or newer (Debian: apt-get install nodejs npm)"
[ "${1:-}" != prometheus ] || { command -v prometheus && command -v promtool; } >/dev/null 2>&1 ||
    fail "prometheus or promtool is missing, which \`make test-telemetry\` needs: install Prometheus (Debian: apt-get install prometheus)"
