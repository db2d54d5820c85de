"""Coarse moisture products as a series of dated rasters."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputMultipleLayers,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterString,
)

from ...plugin.core.progress import Progress
from ..base import SoilMoistureAlgorithm
from ..extent_parameter import ExtentParameter
from ..parameters import choice, date, line, read_date
from ..translation import tr

PRODUCTS = ("auto", "smap-l3-36km", "smap-l3-9km", "netcdf", "geotiff")
PASSES = ("average", "am", "pm")
QUALITIES = ("recommended", "all")
UNITS = ("m3m3", "percent", "other")
FILE_FILTER = "Coarse products (*.h5 *.hdf5 *.he5 *.nc *.nc4 *.cdf *.tif *.tiff);;All files (*)"


class PrepareCoarseMoisture(ExtentParameter, SoilMoistureAlgorithm):
    """SMAP level 3, NetCDF or GeoTIFF → a GeoTIFF a day, cut to an area."""

    ID = "preparecoarsemoisture"
    TITLE = "Prepare coarse moisture"
    GROUP = "covariates"
    TAGS = "smap,spl3smp,hdf5,netcdf,esa cci,c3s,era5-land,coarse,ease-grid,time series,satellite"

    def declare(self) -> None:
        self.add(QgsProcessingParameterFile("INPUT", tr("File or folder"), fileFilter=FILE_FILTER))
        self.add(choice("PRODUCT", tr("Product"), PRODUCTS, "auto"))
        self.add(choice("PASS", tr("Pass of the satellite (SMAP)"), PASSES, "average"))
        self.add(choice("QUALITY", tr("Retrievals (SMAP)"), QUALITIES, "recommended"))
        self.add(line("VARIABLE", tr("Variable (NetCDF) or band (GeoTIFF)")), advanced=True)
        self.add(choice("UNITS", tr("Units of the values"), UNITS, "m3m3"), advanced=True)
        self.add(QgsProcessingParameterString("NAME", tr("Name of the covariate"), "smap"))
        self.declare_extent()
        self.add(date("START", tr("First day"), optional=True))
        self.add(date("END", tr("Last day"), optional=True))
        self.add(QgsProcessingParameterFolderDestination("OUTPUT", tr("Folder of the series")))
        self.add_output(QgsProcessingOutputMultipleLayers("LAYERS", tr("Rasters in order of date")))

    def collect(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        self.collect_extent(parameters, context)

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.covariates.coarse_products.coarse import prepare_coarse_series
        from ...plugin.core.covariates.coarse_products.coarse_days import Selection

        folder = self.destination(parameters, "OUTPUT", context)
        paths = prepare_coarse_series(
            self.file(parameters, "INPUT", context),
            folder,
            selection=Selection(
                product=self.parameterAsEnumString(parameters, "PRODUCT", context),
                which=self.parameterAsEnumString(parameters, "PASS", context),
                quality=self.parameterAsEnumString(parameters, "QUALITY", context),
                variable=self.text(parameters, "VARIABLE", context) or "",
                start=read_date(self, parameters, "START", context),
                end=read_date(self, parameters, "END", context),
            ),
            name=self.text(parameters, "NAME", context) or "smap",
            units=self.parameterAsEnumString(parameters, "UNITS", context),
            extent=self.read_extent(),
            progress=progress,
        )
        return {"OUTPUT": str(folder), "LAYERS": [str(path) for path in paths]}
