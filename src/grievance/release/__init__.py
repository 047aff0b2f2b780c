"""Releases: noisy shares added up, read as tables with intervals, and exported.

Everything here is public and costs no privacy. All intervals are 95 % intervals of the noise
only: they say where the exact figure of the people who reported may lie, and nothing about
those who did not report.
"""

from __future__ import annotations

from grievance.release.beside import to_csv
from grievance.release.check import Checked, check_folder
from grievance.release.collect import collect
from grievance.release.combine import Suspect, combine, implausible
from grievance.release.export import export
from grievance.release.figures import Difference, Figure, Quantile
from grievance.release.release import Release
from grievance.release.schema import release_schema
from grievance.release.tables import CountTable, DistributionTable, MeanTable, Table

__all__ = [
    "Checked",
    "CountTable",
    "Difference",
    "DistributionTable",
    "Figure",
    "MeanTable",
    "Quantile",
    "Release",
    "Suspect",
    "Table",
    "check_folder",
    "collect",
    "combine",
    "export",
    "implausible",
    "release_schema",
    "to_csv",
]
