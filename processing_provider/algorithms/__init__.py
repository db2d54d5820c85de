"""One file an algorithm."""

from __future__ import annotations

from .aligntogrid import AlignToGrid
from .applicability import Applicability
from .comparemaps import CompareMaps
from .covariatetable import CovariateTableAlgorithm
from .easegrid import EaseGridAlgorithm
from .fillgaps import FillGaps
from .groupclasses import GroupClasses
from .importstations import ImportStations
from .interpolatestations import InterpolateStations
from .learningcurve import LearningCurve
from .modelcard import ModelCard
from .opticalindices import OpticalIndices
from .planstations import PlanStations
from .predict import Predict
from .predictseries import PredictSeries
from .preparebackscatter import PrepareBackscatter
from .preparecoarsemoisture import PrepareCoarseMoisture
from .rankcovariates import RankCovariates
from .samplecovariates import SampleCovariates
from .selectspiking import SelectSpiking
from .soiltexture import SoilTexture
from .spikemodel import SpikeModel
from .splitstations import SplitStations
from .temporalstatistics import TemporalStatistics
from .terraincovariates import TerrainCovariates
from .thermalindices import ThermalIndices
from .trainmodel import TrainModel
from .validate import Validate

ALGORITHMS = (
    TerrainCovariates,
    PrepareBackscatter,
    TemporalStatistics,
    PrepareCoarseMoisture,
    EaseGridAlgorithm,
    FillGaps,
    AlignToGrid,
    GroupClasses,
    SoilTexture,
    OpticalIndices,
    ThermalIndices,
    CovariateTableAlgorithm,
    ImportStations,
    SampleCovariates,
    SplitStations,
    SelectSpiking,
    PlanStations,
    TrainModel,
    SpikeModel,
    LearningCurve,
    Validate,
    RankCovariates,
    ModelCard,
    Predict,
    PredictSeries,
    Applicability,
    CompareMaps,
    InterpolateStations,
)
