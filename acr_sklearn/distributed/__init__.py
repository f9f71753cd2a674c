"""Scores for the domains of a lake: one fitted detector, on engines that exist."""

from acr_sklearn.distributed.dask_frames import score_dask
from acr_sklearn.distributed.duckdb_queries import score_duckdb
from acr_sklearn.distributed.fitted_frame import FrameFit, fit_frame
from acr_sklearn.distributed.scored_frame import score_frame
from acr_sklearn.distributed.spark_frames import score_spark

__all__ = ["FrameFit", "fit_frame", "score_dask", "score_duckdb", "score_frame", "score_spark"]
