"""Displays: pictures of how a detector does on domains that it has not seen."""

from acr_sklearn.plotting.anomaly_map import AnomalyMapDisplay
from acr_sklearn.plotting.batch_size import BatchSizeCurveDisplay
from acr_sklearn.plotting.contamination_curve import ContaminationCurveDisplay
from acr_sklearn.plotting.domain_map import DomainMapDisplay
from acr_sklearn.plotting.explanation import ExplanationDisplay
from acr_sklearn.plotting.ranking import DomainPrecisionRecallDisplay, DomainRocDisplay
from acr_sklearn.plotting.score_distribution import ScoreDistributionDisplay
from acr_sklearn.plotting.scores_over_time import ScoresOverTimeDisplay
from acr_sklearn.plotting.selection_curve import SelectionCurveDisplay
from acr_sklearn.plotting.training_curve import TrainingCurveDisplay

__all__ = [
    "AnomalyMapDisplay",
    "BatchSizeCurveDisplay",
    "ContaminationCurveDisplay",
    "DomainMapDisplay",
    "DomainPrecisionRecallDisplay",
    "DomainRocDisplay",
    "ExplanationDisplay",
    "ScoreDistributionDisplay",
    "ScoresOverTimeDisplay",
    "SelectionCurveDisplay",
    "TrainingCurveDisplay",
]
