"""Which noise a picture has, how much of it, and what to do: told from the picture alone.

    diagnosis = diagnose(pixels)
    print(diagnosis.kind, diagnosis.level, diagnosis.advice)

`docs/inspect.md` says how it is told and how often it is right.
"""

from grainless.diagnosis.compression import jpeg_quality
from grainless.diagnosis.decision import KINDS
from grainless.diagnosis.sampling import spans
from grainless.diagnosis.verdict import ADVISED, Diagnosis, diagnose, diagnose_picture

__all__ = ["ADVISED", "KINDS", "Diagnosis", "diagnose", "diagnose_picture", "jpeg_quality", "spans"]
