#!/usr/bin/env bash
# bash benchmarks/run.sh [--quick] [--part PART…]   speed, memory and exactness beside other programs.
# Prints one table; ends with an exit code other than 0 where a result is not exact. See README.md.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
export OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=1 ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=2
exec bash "$root/scripts/env.sh" python "$root/benchmarks/start.py" "$@"
