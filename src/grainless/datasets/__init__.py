"""Pictures for training: folders, noisy/clean pairs, the FER2013 csv, splits, decoded pixels. No torch here.

Whatever the pictures come from, a run reads them from a `PixelStore`.
"""

from grainless.datasets.face_cache import store_faces
from grainless.datasets.fer2013 import FaceSplit, is_faces_file, split_faces
from grainless.datasets.folder import PictureRequirement, Skipped, decode_8bit, find_pictures, split_names
from grainless.datasets.pairs import store_pairs
from grainless.datasets.resizing import resize_values
from grainless.datasets.store import INDEX, Pixels, PixelStore, store_pixels

__all__ = [
    "INDEX",
    "FaceSplit",
    "PictureRequirement",
    "PixelStore",
    "Pixels",
    "Skipped",
    "decode_8bit",
    "find_pictures",
    "is_faces_file",
    "resize_values",
    "split_faces",
    "split_names",
    "store_faces",
    "store_pairs",
    "store_pixels",
]
