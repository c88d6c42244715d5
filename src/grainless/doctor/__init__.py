"""Faults in the pictures that one wants to train or measure on, by file name and each with its remedy."""

from grainless.doctor.faces import check_faces
from grainless.doctor.findings import JSON_VERSION, KINDS, Finding, Kind, Report
from grainless.doctor.folder import MIN_SIDE, check_folder, check_store

__all__ = [
    "JSON_VERSION",
    "KINDS",
    "MIN_SIDE",
    "Finding",
    "Kind",
    "Report",
    "check_faces",
    "check_folder",
    "check_store",
]
