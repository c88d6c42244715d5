"""Pictures for training: folders, noisy/clean pairs, the FER2013 csv, splits, decoded pixels. No torch here.

Whatever the pictures come from, a run reads them from a `PixelStore`.
"""

from grainless.datasets.face_cache import store_faces
from grainless.datasets.fer2013 import FaceSplit, is_faces_file, split_faces
from grainless.datasets.folder import PictureRequirement, Skipped, decode_8bit, find_pictures, split_names
from grainless.datasets.pairing import STAR, PairFiles, check_apart, list_side, match_pairs, side_folder
from grainless.datasets.pairs import decode_pair, describe_size, store_pairs, unequal_sizes
from grainless.datasets.resizing import resize_values
from grainless.datasets.store import INDEX, Pixels, PixelStore, store_pixels, take_evenly

__all__ = [
    "INDEX",
    "STAR",
    "FaceSplit",
    "PairFiles",
    "PictureRequirement",
    "PixelStore",
    "Pixels",
    "Skipped",
    "check_apart",
    "decode_8bit",
    "decode_pair",
    "describe_size",
    "find_pictures",
    "is_faces_file",
    "list_side",
    "match_pairs",
    "resize_values",
    "side_folder",
    "split_faces",
    "split_names",
    "store_faces",
    "store_pairs",
    "store_pixels",
    "take_evenly",
    "unequal_sizes",
]
