"""The report of a release for people: one HTML page with sentences, charts and verdicts."""

from grievance.release.report.page import write_report

__all__ = ["write_report"]
