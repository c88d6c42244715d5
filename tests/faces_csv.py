"""Small files in the form of the FER2013 csv."""

from __future__ import annotations

import csv
import gzip
import zipfile
from pathlib import Path

import numpy as np

from grainless.noise import seed_for

HEADER = "emotion,pixels,Usage"


def face(number):
    """The `(48, 48, 1)` pixels of a row."""
    return np.random.default_rng(seed_for(2, str(number))).integers(0, 256, (48, 48, 1)).astype(np.uint8)


def field(pixels):
    """Pixels as they stand in the csv."""
    return " ".join(map(str, pixels.ravel().tolist()))


def write_faces(path, *, training=3, public=2, private=2):
    """Write a csv with so many rows of each Usage, as the csv module does."""
    usages = ["Training"] * training + ["PublicTest"] * public + ["PrivateTest"] * private
    with Path(path).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADER.split(","))
        writer.writerows([number % 7, field(face(number)), usage] for number, usage in enumerate(usages))
    return Path(path)


def gzipped(path, name="faces.csv.gz"):
    """Pack a csv with gzip, beside it."""
    packed = path.with_name(name)
    packed.write_bytes(gzip.compress(path.read_bytes()))
    return packed


def zipped(path, *members, name="faces.zip"):
    """Pack a csv under these names, beside it."""
    packed = path.with_name(name)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in members:
            archive.writestr(member, path.read_bytes())
    return packed
