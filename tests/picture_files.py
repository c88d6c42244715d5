"""Small pictures and synthetic metadata for the tests of picture files."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageCms

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

RGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

XMP = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="a test"/></rdf:RDF></x:xmpmeta>'
    b'<?xpacket end="w"?>'
)


def gray_profile() -> bytes:
    """A gray ICC profile of gamma 2.2, after ICC.1:2001-04 (Pillow can make none)."""

    def text(words: bytes) -> bytes:
        return b"desc" + bytes(4) + struct.pack(">L", len(words) + 1) + words + bytes(1 + 4 + 4 + 2 + 1 + 67)

    white = b"XYZ " + bytes(4) + struct.pack(">3l", 63190, 65536, 54061)
    curve = b"curv" + bytes(4) + struct.pack(">LH", 1, round(2.2 * 256))
    right = b"text" + bytes(4) + b"none\0"
    parts = [(b"desc", text(b"gray")), (b"wtpt", white), (b"kTRC", curve), (b"cprt", right)]
    table, body, at = struct.pack(">L", len(parts)), b"", 128 + 4 + 12 * len(parts)
    for name, data in parts:
        padded = data + bytes(-len(data) % 4)
        table += name + struct.pack(">LL", at + len(body), len(data))
        body += padded
    head = struct.pack(">L4sL4s4s4s", at + len(body), b"lcms", 0x02100000, b"mntr", b"GRAY", b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += struct.pack(">3l", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


GRAY_PROFILE = gray_profile()


def exif_block(*, orientation: int = 1, dpi: float | None = 300.0, thumbnail: bytes | None = None) -> bytes:
    """An EXIF block as a camera writes it: maker, exposure, maker note, GPS, and a thumbnail on request."""
    exif = Image.Exif()
    exif.endian = "<"
    exif[0x010F], exif[0x0110], exif[0x0112], exif[0x8298] = "Maker", "Model", orientation, "(c) somebody"
    if dpi is not None:
        exif[0x011A], exif[0x011B], exif[0x0128] = dpi, dpi, 2
    inner = exif.get_ifd(0x8769)
    inner[0x9003], inner[0x829A] = "2026:01:02 03:04:05", 1 / 250
    inner[0x927C], inner[0xA002], inner[0xA003] = b"a maker's note\0\1\2", 40, 30
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2] = "N", (50.0, 30.0, 0.5)
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    return block if thumbnail is None else with_thumbnail(block, thumbnail)


def with_thumbnail(block: bytes, thumbnail: bytes) -> bytes:
    """Append a second directory with a thumbnail, which Pillow does not write, to a little-endian block."""
    (number,) = struct.unpack_from("<H", block, 8)
    at = len(block) + len(block) % 2
    second = struct.pack("<H", 3) + struct.pack("<HHLHH", 259, 3, 1, 6, 0)
    second += struct.pack("<HHLL", 513, 4, 1, at + 2 + 36 + 4) + struct.pack(
        "<HHLL", 514, 4, 1, len(thumbnail)
    )
    data = bytearray(block.ljust(at, b"\0") + second + bytes(4) + thumbnail)
    struct.pack_into("<L", data, 8 + 2 + number * 12, at)
    return bytes(data)


def exif_facts(block: bytes) -> dict[str, Any]:
    """What Pillow, which shares no code with the package, reads from a block."""
    exif = Image.Exif()
    exif.load(block)
    inner, gps = exif.get_ifd(0x8769), exif.get_ifd(0x8825)
    return {
        "maker": exif.get(0x010F),
        "copyright": exif.get(0x8298),
        "taken": inner.get(0x9003),
        "exposure": round(float(inner.get(0x829A, 0)), 6),
        "note": inner.get(0x927C),
        "latitude": tuple(float(part) for part in gps.get(2, ())),
    }


def values(dtype: str, channels: int, *, height: int = 9, width: int = 14, seed: int = 1) -> NDArray[Any]:
    """Random values over the whole range of a type, black and white among them."""
    drawn = np.random.default_rng(seed).random((height, width, channels))
    drawn[0, 0], drawn[-1, -1] = 0.0, 1.0
    if dtype == "float32":
        return drawn.astype(np.float32)
    return np.rint(drawn * np.iinfo(dtype).max).astype(dtype)


def saved(path: Path, pixels: NDArray[Any] | Image.Image, kind: str, **options: Any) -> Path:
    """Write a picture with Pillow, which shares no code with the package's own writer."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels.squeeze())
    data = io.BytesIO()
    image.save(data, kind, **options)
    path.write_bytes(data.getvalue())
    return path


def tiff_file(path: Path, entries: dict[int, tuple[int, list[int]]], strip: bytes) -> Path:
    """Write an uncompressed little-endian TIFF of one strip from tags alone; tag -> (kind, numbers)."""
    path.write_bytes(tiff_bytes([(entries, strip)]))
    return path


def tiff_bytes(pages: list[tuple[dict[int, tuple[int, list[int]]], bytes]]) -> bytes:
    """Bytes of a TIFF of several pages."""
    data, link = bytearray(b"II*\0" + bytes(4)), 4
    for entries, strip in pages:
        strip_at = len(data)
        data += strip + bytes(len(strip) % 2)
        filled = {**entries, 273: (4, [strip_at]), 279: (4, [len(strip)])}
        rows = b""
        for tag, (kind, numbers) in sorted(filled.items()):
            raw = struct.pack(f"<{len(numbers)}{ {1: 'B', 3: 'H', 4: 'L'}[kind] }", *numbers)
            if len(raw) > 4:
                place = len(data)
                data += raw + bytes(len(raw) % 2)
                raw = struct.pack("<L", place)
            rows += struct.pack("<HHL", tag, kind, len(numbers)) + raw.ljust(4, b"\0")
        struct.pack_into("<L", data, link, len(data))
        data += struct.pack("<H", len(filled)) + rows
        link = len(data)
        data += bytes(4)
    return bytes(data)


def tiff_tags(
    pixels: NDArray[Any], *, mode: int | None = None, extra: list[int] | None = None, **changes: list[int]
) -> dict[int, tuple[int, list[int]]]:
    """Tags that describe (height, width, bands); `changes` such as bits=[12] replace single ones."""
    height, width, bands = pixels.shape
    kind = {"u": 1, "i": 2, "f": 3, "c": 6}[pixels.dtype.kind]
    tags = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, changes.get("bits", [pixels.dtype.itemsize * 8] * bands)),
        259: (3, [1]),
        262: (3, [mode if mode is not None else (1 if bands < 3 else 2)]),
        277: (3, [bands]),
        278: (4, [height]),
        339: (3, [kind] * bands),
    }
    if extra is not None:
        tags[338] = (3, extra)
    if "subfile" in changes:
        tags[254] = (4, changes["subfile"])
    return tags
