#!/usr/bin/env bash
# Every check and every test, each suite in a process of its own; the summary stands at the end.
# bash scripts/test.sh [STEP…]   runs only the steps named, for example: ruff unit
set -uo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
if [ "${QGIS_CUSTOM_CONFIG_PATH:-}" != "$root/.env/profile" ]; then
  exec bash "$root/scripts/env.sh" bash "$root/scripts/test.sh" "$@"
fi
cd "$root" || exit 1

wanted=("$@")
known=()
summary=()
failed=0
logs="$root/.env/log"
mkdir -p "$logs"

# step NAME COMMAND…: what it prints is shown where it fails, its last line where it holds
step() {
  local name="$1" start=$SECONDS result=ok
  shift
  known+=("$name")
  if [ ${#wanted[@]} -gt 0 ] && [[ " ${wanted[*]} " != *" $name "* ]]; then return; fi
  printf '%s … ' "$name"
  if "$@" >"$logs/$name.log" 2>&1; then
    printf 'ok: %s\n' "$(grep -v '^ *$' "$logs/$name.log" | tail -n 1)"
  else
    result=FAILED
    failed=1
    printf 'FAILED\n'
    tail -n 200 "$logs/$name.log"
  fi
  summary+=("$(printf '%-10s %-7s %4d s' "$name" "$result" $((SECONDS - start)))")
}

files() { # tracked or not yet added, else (no git checkout) all
  git ls-files -z --cached --others --exclude-standard 2>/dev/null ||
    find . -path ./.env -prune -o -path ./output -prune -o -type f -print0
}

shipped=(__init__.py plugin processing_provider ui)

tests() { timeout 1200 python -m pytest -q "$@"; }
secrets() { files | xargs -0 detect-secrets-hook; }
gui() {
  local authority=.env/run/Xauthority # relative: xvfb-run does not quote it
  rm -f "$authority"
  QT_QPA_PLATFORM=xcb timeout 600 xvfb-run -a -f "$authority" -s "-screen 0 1280x1024x24" \
    env XAUTHORITY="$PWD/$authority" python -m pytest -q tests/gui
}

step ruff ruff check .
# not QGS105, which would have QGIS's interface imported where classFactory hands it over, nor the
# experimental QGS201 and QGS202, which want every returned value looked at
step flake8 flake8 --select=QGS --ignore=QGS105,QGS201,QGS202 "${shipped[@]}"
step mypy mypy
step bandit bandit -q -r -c pyproject.toml "${shipped[@]}"
step secrets secrets
step unit tests tests/unit --cov
step model tests tests/model
step qgis tests tests/qgis
step gui gui

for name in "${wanted[@]}"; do
  if [[ " ${known[*]} " != *" $name "* ]]; then
    echo "no step $name; there are: ${known[*]}"
    failed=1
  fi
done
printf '\n%s' "" "${summary[@]}"
printf '\n%s\n' "$([ $failed -eq 0 ] && echo 'all passed' || echo "FAILED (whole output in $logs)") after $SECONDS s"
exit $failed
