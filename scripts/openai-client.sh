#!/usr/bin/env bash
# Serves a program and talks to it with the official `openai` package for Python, which is installed below build/.
#
#   scripts/openai-client.sh PROGRAM [words of `serve`]
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
[ $# -gt 0 ] || die "which program?" "scripts/openai-client.sh PROGRAM [words of \`serve\`]"
program=$1
shift
python=$work/openai/bin/python
if ! "$python" -c 'import openai' 2>/dev/null; then
    python3 -m venv "$work/openai"
    step "the package openai" "$python" -m pip install --quiet openai || die "the package openai cannot be had"
fi
coproc SERVER { exec "$program" serve --port 0 "$@"; }
server=$SERVER_PID
trap 'kill "$server" 2>/dev/null || true' EXIT
read -r -t 120 _ _ address <&"${SERVER[0]}" || die "the server does not start"
"$python" "$root/scripts/openai-client.py" "$address/v1"
kill -TERM "$server"
wait "$server" || die "the server did not end well"
