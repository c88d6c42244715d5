"""Picture files: reading, writing, and what each format keeps or loses."""

from grainless.picture.content import Metadata, Picture
from grainless.picture.formats import EXTENSIONS, is_picture_name, losses
from grainless.picture.reading import read_picture
from grainless.picture.writing import write_picture

__all__ = [
    "EXTENSIONS",
    "Metadata",
    "Picture",
    "is_picture_name",
    "losses",
    "read_picture",
    "write_picture",
]
