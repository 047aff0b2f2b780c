"""The page of a release for people: one HTML file with sentences, charts and ranges."""

from grievance.release.page.page import write_page

__all__ = ["write_page"]
