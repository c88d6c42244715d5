"""A seed's study from start to end: train its forms, measure them beside the filters, write it all down."""

from grainless.reproduce.running import ReproduceOptions, reproduce
from grainless.reproduce.study import Study, load_study, study_names

__all__ = ["ReproduceOptions", "Study", "load_study", "reproduce", "study_names"]
