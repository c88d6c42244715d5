"""Picture files: reading, writing, and what each format keeps or loses."""

from grainless.picture.content import Metadata, Picture
from grainless.picture.formats import EXTENSIONS, check_output, format_for, is_picture_name, losses
from grainless.picture.reading import read_picture
from grainless.picture.results import encoding_bytes, write_stored
from grainless.picture.stored import AnyPicture, PictureFacts, StoredPicture, look_at, store_picture
from grainless.picture.writing import write_picture

__all__ = [
    "EXTENSIONS",
    "AnyPicture",
    "Metadata",
    "Picture",
    "PictureFacts",
    "StoredPicture",
    "check_output",
    "encoding_bytes",
    "format_for",
    "is_picture_name",
    "look_at",
    "losses",
    "read_picture",
    "store_picture",
    "write_picture",
    "write_stored",
]
