# shellcheck shell=bash disable=SC2154
# The plugin's environment; sourced, with $root set to the clone. Everything QGIS, Python and their
# libraries write lands below .env, none of it in the home folder.
export QGIS_CUSTOM_CONFIG_PATH="$root/.env/profile"
export XDG_CONFIG_HOME="$root/.env/profile/config"
export XDG_DATA_HOME="$root/.env/profile/data"
export XDG_CACHE_HOME="$root/.env/cache"
export XDG_RUNTIME_DIR="$root/.env/run"
export TMPDIR="$root/.env/tmp"
mkdir -p "$XDG_CONFIG_HOME" "$XDG_DATA_HOME" "$XDG_CACHE_HOME" "$XDG_RUNTIME_DIR" "$TMPDIR"
chmod 700 "$XDG_RUNTIME_DIR"

export QT_QPA_PLATFORM=offscreen
export VIRTUAL_ENV="$root/.env/venv"
export PATH="$VIRTUAL_ENV/bin:/usr/bin:$PATH" # /usr/bin: the QGIS this environment was made for
site_packages=("$VIRTUAL_ENV"/lib/python3*/site-packages)
export PYTHONPATH="${site_packages[0]}${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONNOUSERSITE=1
unset PYTHONHOME site_packages

# Qt reads file names in the locale's encoding: umlauts need UTF-8
case "${LC_ALL:-${LC_CTYPE:-${LANG:-}}}" in
  *.[Uu][Tt][Ff]*8) ;;
  *) export LC_ALL=C.UTF-8 ;;
esac
