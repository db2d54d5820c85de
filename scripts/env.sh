#!/usr/bin/env bash
# bash scripts/env.sh COMMAND…   runs COMMAND in the plugin's environment and passes on its exit
# code. Installs first where something is missing (on standard error). Standard input and output
# and the working directory are the command's own.
set -euo pipefail

if [ $# -eq 0 ]; then
  echo "usage: bash scripts/env.sh COMMAND [ARGUMENT…]" >&2
  exit 2
fi
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
bash "$root/scripts/setup.sh"
# shellcheck source=scripts/variables.sh
. "$root/scripts/variables.sh"
exec "$@"
