#!/usr/bin/env bash
# Maps the sample landscape with the graphical model, from terrain, radar, coarse moisture, regional
# stations and probes, and prints what spiking brought.
# bash scripts/demo.sh [FOLDER]   writes to FOLDER, by default output/ in the clone
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
mkdir -p "${1:-$root/output}"
output="$(cd "${1:-$root/output}" && pwd -P)"
if [ "${QGIS_CUSTOM_CONFIG_PATH:-}" != "$root/.env/profile" ]; then
  exec bash "$root/scripts/env.sh" bash "$root/scripts/demo.sh" "$output"
fi

land="$root/resources/landscape"
truth=("$land"/truth/moisture_*.tif)
day="$(basename "${truth[0]}" .tif)" # moisture_YYYYMMDD
day="${day#moisture_}"
map="$output/soil_moisture.tif"
picture="$output/soil_moisture.png"
report="$output/spiking_report.html"
metrics="$output/spiking_metrics.csv"
log="$output/demo.log"

inputs=(
  "DATE=${day:0:4}-${day:4:2}-${day:6:2}"
  "STATIONS=$land/stations.csv"
  "PROBES=$land/probes.csv"
  "MASK=$land/field/boundary.geojson"
  BASELINE=smap
)
for area in region field; do
  name="${area^^}"
  inputs+=("${name}_DEM=$land/$area/dem.tif" "${name}_STATIC=$land/$area/soil.tif")
  for raster in "$land/$area"/s1/*.tif; do
    inputs+=("${name}_RADAR=$raster")
  done
  for raster in "$land"/coarse/*.tif "$land/$area"/ndvi/*.tif; do
    inputs+=("${name}_DYNAMIC=$raster")
  done
done
outputs=(
  "soil_moisture=$map"
  "why_cells_are_empty=$output/why_cells_are_empty.tif"
  "probes_with_their_roles=$output/probes.gpkg"
  "model_of_the_field=$output/field.smm"
  "spiking_metrics=$metrics"
  "spiking_report=$report"
  "radar_statistics_of_the_field=$output/field_radar_statistics.tif"
  "covariate_table_of_the_field=$output/field_covariates.csv"
  "terrain_covariates_of_the_field=$output/field_terrain.tif"
  "regional_model=$output/region.smm"
  "training_metrics=$output/training_metrics.csv"
  "training_report=$output/training_report.html"
  "residuals=$output/residuals.gpkg"
  "validation_metrics=$output/validation_metrics.csv"
  "validation_report=$output/validation_report.html"
)

echo "Running the graphical model \"Field moisture map\" on the sample landscape …"
if ! qgis_process run "$root/resources/models/field_moisture_map.model3" -- \
  "${inputs[@]}" "${outputs[@]}" >"$log" 2>&1; then
  tail -n 40 "$log"
  echo "demo: the model failed, all it said is in $log" >&2
  exit 1
fi
python "$root/scripts/demo_map.py" "$map" "$picture" --probes "$output/probes.gpkg" \
  --dem "$land/field/dem.tif"
echo
python "$root/scripts/demo_scores.py" "$metrics"
cat <<END

map      $map
report   $report
picture  $picture
more     $output (after $SECONDS s)
END
