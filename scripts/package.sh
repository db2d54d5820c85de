#!/usr/bin/env bash
# Writes dist/soil_moisture_mapper-<version>.zip for plugins.qgis.org.
# bash scripts/package.sh [FOLDER]   writes it elsewhere
set -euo pipefail
exec python3 "$(dirname "${BASH_SOURCE[0]}")/package_plugin.py" "$@"
