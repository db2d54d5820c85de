#!/usr/bin/env bash
# Installs what the plugin needs on Debian 12 and makes a throw-away QGIS profile. Everything but
# apt's packages goes into .env inside the clone. A second run with nothing to do takes no time.
# Speaks on standard error only.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
readonly root
readonly env="$root/.env"
readonly venv="$env/venv"
readonly profile="$env/profile"
readonly log="$env/setup.log"
readonly python=/usr/bin/python3 # the one QGIS is built with
readonly suite=bookworm-backports
readonly qgis_packages=(qgis python3-qgis)
readonly other_packages=(ca-certificates fonts-dejavu-core python3-matplotlib python3-scipy
  python3-venv xauth xvfb)

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "setup: $*"
  exit 1
}

# run COMMAND…: quiet unless it fails
run() {
  if ! "$@" >>"$log" 2>&1; then
    tail -n 40 "$log" >&2
    fail "this failed: $*   (all of it in $log)"
  fi
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  elif command -v sudo >/dev/null; then
    sudo DEBIAN_FRONTEND=noninteractive "$@"
  else
    fail "packages are missing and neither root nor sudo is at hand; have somebody run: $*"
  fi
}

# what the installation rests on: the files that describe it, the place, the versions beneath
fingerprint() {
  printf '%s\n' "$root"
  cat "$root/requirements.txt" "$root/requirements-dev.txt" "$root/scripts/setup.sh" \
    "$root/scripts/check_environment.py"
  stat -L -c '%n %Y' /usr/bin/qgis_process "$python" \
    /usr/lib/python3/dist-packages/numpy/version.py 2>/dev/null || true
}

stamp() { fingerprint | sha256sum; }

missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
      printf '%s ' "$package"
  done
}

qgis_is_new_enough() {
  [ -x /usr/bin/qgis_process ] &&
    "$python" -c 'import sys; from qgis.core import Qgis; sys.exit(Qgis.QGIS_VERSION_INT < 34000)' \
      >/dev/null 2>&1
}

install_packages() {
  local missing source=()
  missing="$(missing_packages "${other_packages[@]}")"
  if [ -z "$missing" ] && qgis_is_new_enough; then return; fi
  command -v apt-get >/dev/null ||
    fail "this script installs with apt on Debian 12; elsewhere install QGIS 3.40 or newer," \
      "python3-venv, matplotlib, scipy and xvfb by hand"
  say "setup: installing Debian packages (a few minutes the first time)"
  if grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release; then
    source=(-t "$suite")
    if ! apt-cache policy | grep -q "n=$suite"; then
      printf 'deb http://deb.debian.org/debian %s main\n' "$suite" >"$env/$suite.list"
      run as_root install -m 644 "$env/$suite.list" "/etc/apt/sources.list.d/$suite.list"
    fi
  fi
  run as_root apt-get update
  if ! qgis_is_new_enough; then
    run as_root apt-get install -y --no-install-recommends "${source[@]}" "${qgis_packages[@]}"
  fi
  if [ -n "$missing" ]; then
    # shellcheck disable=SC2086 # a list of names
    run as_root apt-get install -y --no-install-recommends $missing
  fi
  qgis_is_new_enough || fail "no QGIS 3.40 or newer after the installation, see $log"
}

# QGIS's own NumPy and SciPy stay: others would break the GDAL bindings
install_venv() {
  say "setup: installing Python packages"
  if [ ! -x "$venv/bin/python" ] || ! grep -qxF "VIRTUAL_ENV=\"$venv\"" "$venv/bin/activate"; then
    rm -rf "$venv"
    run "$python" -m venv --system-site-packages "$venv"
  fi
  "$python" -c 'import numpy, scipy; print(f"numpy=={numpy.__version__}\nscipy=={scipy.__version__}")' \
    >"$env/constraints.txt"
  run env PYTHONNOUSERSITE=1 PIP_CACHE_DIR="$env/cache/pip" PIP_CONSTRAINT= TMPDIR="$env/tmp" \
    "$venv/bin/python" -m pip --disable-pip-version-check install \
    --constraint "$env/constraints.txt" \
    --requirement "$root/requirements.txt" --requirement "$root/requirements-dev.txt"
}

make_profile() {
  local plugins="$profile/profiles/default/python/plugins"
  mkdir -p "$plugins"
  ln -sfn "$root" "$plugins/soil_moisture_mapper"
  if ! qgis_process plugins 2>>"$log" | grep -qxF '* soil_moisture_mapper'; then
    run qgis_process plugins enable soil_moisture_mapper
  fi
}

main() {
  if [ "$(cat "$env/stamp" 2>/dev/null)" = "$(stamp)" ]; then return; fi
  mkdir -p "$env/tmp"
  exec 9>"$env/lock"
  flock 9 # another run may be installing
  if [ "$(cat "$env/stamp" 2>/dev/null)" = "$(stamp)" ]; then return; fi
  rm -f "$env/stamp"
  : >"$log"
  install_packages
  install_venv
  # shellcheck source=scripts/variables.sh
  . "$root/scripts/variables.sh"
  make_profile
  python "$root/scripts/check_environment.py" >&2 || fail "what was installed does not work together"
  stamp >"$env/stamp"
  say "setup: ready"
}

main </dev/null
