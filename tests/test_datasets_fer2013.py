"""Reading the FER2013 csv, and the splits of its faces."""

from __future__ import annotations

import csv
import itertools
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faces_csv import HEADER, face, field, gzipped, write_faces, zipped
from grainless.datasets import is_faces_file, split_faces
from grainless.datasets.fer2013 import read_faces
from grainless.errors import DataError

FACE = field(face(0))
ROW = f"0,{FACE},Training"


@pytest.fixture
def file(tmp_path):
    return write_faces(tmp_path / "faces.csv")


def read(path):
    return list(read_faces(path))


def write_text(folder, *lines, name="faces.csv"):
    path = folder / name
    path.write_bytes("\n".join(lines).encode())
    return path


def holds(faces, count=7):
    assert len(faces) == count
    for number, (_, pixels) in enumerate(faces):
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, face(number))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fer2013.csv", True),
        ("a.CSV", True),
        ("a.csv.gz", True),
        ("a.zip", True),
        ("a.png", False),
        ("a.gz", False),
    ],
)
def test_is_faces_file_goes_by_the_name(tmp_path, name, expected):
    assert is_faces_file(tmp_path / name) is expected
    (tmp_path / name).mkdir()
    assert not is_faces_file(tmp_path / name)


def test_rows_come_in_file_order(file):
    faces = read(file)
    holds(faces)
    assert [usage for usage, _ in faces] == ["Training"] * 3 + ["PublicTest"] * 2 + ["PrivateTest"] * 2


@pytest.mark.parametrize(
    "pack",
    [
        gzipped,
        lambda path: zipped(path, "fer2013.csv"),
        lambda path: zipped(
            path, "fer2013/", "fer2013/README", "fer2013/FER.CSV", "__MACOSX/fer2013/._FER.CSV"
        ),
    ],
    ids=["gzip", "zip", "zip with other files"],
)
def test_packed_files(file, pack):
    holds(read(pack(file)))


@pytest.mark.parametrize("pack", [lambda path: path, gzipped])
def test_progress_ends_with_all_bytes(file, monkeypatch, pack):
    monkeypatch.setattr("grainless.datasets.fer2013._PROGRESS_EVERY", 2)
    path = pack(file)
    calls = []
    list(read_faces(path, progress=lambda *call: calls.append(call)))
    size = path.stat().st_size
    assert len(calls) == 4
    assert calls[-1] == (size, size)
    assert all(0 < done <= total == size for done, total in calls)


@pytest.mark.parametrize(
    "lines",
    [
        ("Usage,id, pixels ,emotion", f"Training,7,{FACE},0"),
        ("\ufeffemotion,pixels,Usage", ROW),
        ('\ufeff"emotion","pixels","Usage"', f'"0","{FACE}","Training"'),
        ("emotion, Usage, pixels", f"0, Training, {FACE}"),
        (HEADER, "", ROW, "", ""),
        (HEADER + "\r", ROW + "\r", ""),
        (HEADER, '0,"' + FACE.replace(" ", "\n") + '",Training'),
        (HEADER, ROW.replace(" ", "  ")),
        (HEADER, "0," + " ".join(f"{value:03}" for value in face(0).ravel()) + ",Training"),
    ],
    ids=[
        "order",
        "BOM",
        "quoted",
        "spaces",
        "blank lines",
        "CRLF",
        "lines in a field",
        "two spaces",
        "zeros",
    ],
)
def test_harmless_differences(tmp_path, lines):
    faces = read(write_text(tmp_path, *lines))
    assert faces[0][0] == "Training"
    holds(faces, 1)


def changed(place, value):
    values = FACE.split()
    values[place] = value
    return f"0,{' '.join(values)},Training"


BAD_LINES = {
    "empty": ([], r"faces.csv is empty .*expected the header emotion,pixels,Usage"),
    "blank": (["", HEADER, ROW], "is empty or begins with a blank line"),
    "no rows": ([HEADER, "", ""], "holds no faces; got a header without rows"),
    "no header": ([ROW], r"Line 1 of .* is not the header of a faces file; got the columns 0, "),
    "two columns": (
        ["emotion,pixels", f"0,{FACE}"],
        r"Line 1 of .*got the columns emotion, pixels; expected the columns emotion, pixels, Usage .*three",
    ),
    "case": (["emotion,pixels,usage", ROW], r"got the columns emotion, pixels, usage; expected"),
    "twice": (["emotion,pixels,Usage,pixels", f"{ROW},1"], "each once"),
    "semicolons": (
        [HEADER.replace(",", ";"), ROW],
        r"got the columns emotion;pixels;Usage; .* commas between",
    ),
    "many columns": ([",".join("abcdefghijklmno")], "got the columns a, b, c, d, e, f, g, h, i, j and more;"),
    "too few pixels": (
        [HEADER, ROW, f"0,{FACE[:-4]},Training"],
        r"Line 3 of .*faces.csv does not hold one face; got 230\d pixel values; expected 2304 \(48x48\)",
    ),
    "too many pixels": ([HEADER, f"0,{FACE} 1,Training"], "Line 2 of .*got 2305 pixel values"),
    "no pixels": ([HEADER, "0,,Training"], "Line 2 of .*got 0 pixel values"),
    "256": (
        [HEADER, changed(4, "256")],
        r"Line 2 of .*got '256' as value 5; expected a whole number from 0 to 255",
    ),
    "1000": ([HEADER, changed(0, "1000")], "got '1000' as value 1;"),
    "negative": ([HEADER, changed(2303, "-1")], "got '-1' as value 2304;"),
    "float": ([HEADER, changed(0, "1.0")], r"got '1\.0' as value 1;"),
    "word": ([HEADER, changed(9, "nan")], "got 'nan' as value 10;"),
    "underscore": ([HEADER, changed(9, "1_0")], "got '1_0' as value 10;"),
    "Arabic digit": ([HEADER, changed(9, "٣")], "got '٣' as value 10;"),
    "NUL": ([HEADER, changed(9, "\0")], r"Line 2 of .*got '\\x00' as value 10"),
    "unknown Usage": (
        [HEADER, ROW, "", ROW.replace("Training", "training")],
        "Line 4 of .* unknown Usage; got 'training'; expected one of Training, PublicTest, PrivateTest. Mend",
    ),
    "column too many": (
        [HEADER, f"{ROW},1"],
        "Line 2 of .* does not fit the header; got 4 columns; expected 3",
    ),
    "cut off": (
        [HEADER, ROW, f"0,{FACE[:100]}"],
        "Line 3 of .*got 2 columns; expected 3.* the file is cut off",
    ),
    "open quote": (
        [HEADER, f'0,"{FACE},Training', ROW],
        r"Line 2 of .* cannot be read as csv; got unexpected end",
    ),
    "old Mac": (
        [f"{HEADER}\r{ROW}\r"],
        "Line 1 of .* cannot be read as csv; got new-line .* field\\. .*Save the file",
    ),
}


@pytest.mark.parametrize(("lines", "message"), BAD_LINES.values(), ids=BAD_LINES)
def test_bad_files_are_named_with_their_line(tmp_path, lines, message):
    with pytest.raises(DataError, match=message):
        read(write_text(tmp_path, *lines))


def test_the_line_counts_lines_of_the_file_not_rows(tmp_path):
    broken = '0,"' + FACE.replace(" ", "\n", 3) + '",Training'
    with pytest.raises(DataError, match=r"Line 6 of .* unknown Usage"):
        read(write_text(tmp_path, HEADER, broken, ROW.replace("Training", "Test")))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            f"{HEADER}\n{ROW}\n".encode() + b"0,1 2 \xff,Training\n",
            "Line 3 of .*not UTF-8 text; got the byte 0xff at position 7",
        ),
        (HEADER.encode("utf-16"), "Line 1 of .*the byte 0xff at position 1"),
        (b"\x1f\x8b\x08\x00", r"Line 1 of .*0x8b.*or one packed as .csv.gz"),
    ],
    ids=["Latin-1", "UTF-16", "gzip without its suffix"],
)
def test_files_that_are_not_utf_8(tmp_path, data, message):
    (tmp_path / "faces.csv").write_bytes(data)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "faces.csv")


def test_huge_fields_and_lines_are_refused_in_little_memory(tmp_path):
    before = csv.field_size_limit()
    long = write_text(tmp_path, HEADER, "0," + "1 " * 2**24, name="long.csv")
    quoted = write_text(tmp_path, HEADER, '0,"' + f"{FACE}\n" * 2000, name="quoted.csv")
    tracemalloc.start()
    with pytest.raises(DataError, match=r"Line 2 of .* is too long; got more than 1048576 bytes"):
        read(long)
    with pytest.raises(
        DataError, match=r"Line 2 of .* cannot be read as csv; got field larger than field limit"
    ):
        read(quoted)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24
    assert csv.field_size_limit() == before


def test_the_limit_that_the_process_has_set_does_not_matter(file):
    before = csv.field_size_limit(10)
    try:
        holds(read(file))
        assert csv.field_size_limit() == 10
    finally:
        csv.field_size_limit(before)


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(DataError, match=r"The file .*gone.csv does not exist. Pass the path"):
        read(tmp_path / "gone.csv")
    with pytest.raises(DataError, match=r"is a folder; expected a .csv, .csv.gz or .zip file"):
        read(tmp_path)
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    with pytest.raises(DataError, match=r"loop.csv cannot be read; got .*See that you may read"):
        read(tmp_path / "loop.csv")


def test_packed_files_that_are_cut_off(file):
    for pack in (gzipped, lambda path: zipped(path, "a.csv")):
        packed = pack(file)
        packed.write_bytes(packed.read_bytes()[:-2000])
        with pytest.raises(DataError, match=r"is cut off.*Download or copy the file again"):
            read(packed)


def test_a_name_that_promises_another_packing(file):
    with pytest.raises(DataError, match=r"or no gzip file; got Not a gzipped file"):
        read(file.rename(file.with_name("plain.csv.gz")))
    with pytest.raises(DataError, match=r"or no zip file; got File is not a zip file"):
        read(file.with_name("plain.csv.gz").rename(file.with_name("plain.zip")))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "holds no csv files; got an empty archive; expected exactly one csv"),
        (["a.txt", "b/"], r"holds no csv files; got a\.txt; expected"),
        (["train.csv", "test.csv", "x"], r"holds 2 csv files; got train\.csv, test\.csv, x; .* Unpack it"),
        ([f"{number}.png" for number in range(12)], r"got 0\.png, .*9\.png and 2 more;"),
    ],
)
def test_archives_without_exactly_one_csv(file, members, message):
    with pytest.raises(DataError, match=message):
        read(zipped(file, *members))


def test_archives_with_a_password(file):
    packed = zipped(file, "a.csv")
    data = bytearray(packed.read_bytes())
    # The lowest bit of the flags, in both headers of the member, says that it is encrypted.
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    packed.write_bytes(data)
    with pytest.raises(DataError, match=r"cannot be unpacked; got .*password required.* Unpack it"):
        read(packed)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), kind=st.sampled_from(["csv", "csv.gz", "zip"]))
def test_any_damage_is_an_error_of_ours_or_none(tmp_path_factory, data, kind):
    folder = tmp_path_factory.mktemp("damage")
    path = write_faces(folder / "faces.csv", training=2, public=0, private=0)
    path = {"csv": lambda p: p, "csv.gz": gzipped, "zip": lambda p: zipped(p, "a.csv")}[kind](path)
    content = bytearray(path.read_bytes())
    place = data.draw(
        st.integers(0, len(content) - 1) | st.integers(max(0, len(content) - 90), len(content) - 1)
    )
    content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(place, len(content)))])
    message = ""
    try:
        faces = read(path)
    except DataError as error:
        message = str(error)
    if message:
        assert str(path) in message
    elif kind != "csv":  # both packings have a checksum
        holds(faces, 2)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text("0123456789 -,x\t٣", max_size=5), max_size=6), st.integers(0, 2303))
def test_pixels_are_read_as_python_reads_numbers(tmp_path_factory, tokens, place):
    text = " ".join([*FACE.split()[:place], *tokens, *FACE.split()[place:]][:2304]).replace(",", "")
    path = write_text(tmp_path_factory.mktemp("pixels"), HEADER, f"0,{text},Training")
    valid = [value.isascii() and value.isdigit() and int(value) <= 255 for value in text.split()]
    if len(valid) == 2304 and all(valid):
        np.testing.assert_array_equal(read(path)[0][1].ravel(), [int(value) for value in text.split()])
    else:
        with pytest.raises(
            DataError, match=r"Line 2 of .* (does not hold one face|pixel value that is not valid)"
        ):
            read(path)


def names(training, public, private):
    usages = ["Training"] * training + ["PublicTest"] * public + ["PrivateTest"] * private
    return [f"{usage}/{number:05d}" for number, usage in enumerate(usages)]


def test_official_split():
    split = split_faces(names(2, 1, 1))
    assert vars(split) == {
        "training": ["Training/00000", "Training/00001"],
        "validation": ["PrivateTest/00003"],
        "test": ["PublicTest/00002"],
    }


@pytest.mark.parametrize(
    ("counts", "part", "usage"),
    [
        ((0, 1, 2), "training", "Training"),
        ((1, 0, 2), "test", "PublicTest"),
        ((1, 2, 0), "validation", "PrivateTest"),
    ],
)
def test_an_official_part_that_is_empty(counts, part, usage):
    held = f"{counts[0]} Training, {counts[1]} PublicTest, {counts[2]} PrivateTest"
    message = f"leaves no face for {part}; got {held}; expected at least one row with the Usage {usage}. "
    with pytest.raises(DataError, match=message + "Add rows with this Usage, or use the random split"):
        split_faces(names(*counts))


@pytest.mark.parametrize(
    ("count", "test", "rest"),
    # What train_test_split of scikit-learn 1.7 returned for range(count) with test_size=0.2, random_state=42.
    [
        (7, [0, 1], [5, 2, 4, 3, 6]),
        (10, [8, 1], [5, 0, 7, 2, 9, 4, 3, 6]),
        (23, [15, 9, 0, 8, 17], [12, 1, 13, 5, 2, 11, 20, 3, 4, 18, 16, 21, 22, 7, 10, 14, 19, 6]),
    ],
)
def test_random_split_is_that_of_scikit_learn(count, test, rest):
    faces = names(count, 0, 0)
    split = split_faces(faces, split="random")
    assert split.test == [faces[i] for i in test]
    assert split.training == [faces[i] for i in rest if faces[i] not in split.validation]
    assert len(split.validation) >= 1


def test_random_split_of_the_whole_set():
    faces = names(28709, 3589, 3589)
    split = split_faces(faces, split="random")
    place = {name: number for number, name in enumerate(faces)}
    # From scikit-learn, as above.
    assert len(split.test) == 7178
    assert [place[name] for name in split.test[:5] + split.test[-3:]] == [
        *(19098, 2043, 16564, 10650, 4955),
        *(32697, 18770, 19841),
    ]
    assert 0.04 < len(split.validation) / 28709 < 0.06
    assert sorted(split.training + split.validation + split.test) == sorted(faces)


@settings(deadline=None)
@given(st.integers(0, 60))
def test_random_split_covers_all_faces_once(count):
    faces = names(0, count, 0)
    try:
        split = split_faces(faces, split="random")
    except DataError:
        assert count < 4
    else:
        assert sorted(itertools.chain(*vars(split).values())) == faces


@pytest.mark.parametrize(("count", "part"), [(0, "training"), (1, "training"), (2, "validation")])
def test_random_split_of_too_few(count, part):
    with pytest.raises(
        DataError, match=rf"random split leaves no face for {part}; got {count} Training.*Add rows"
    ):
        split_faces(names(count, 0, 0), split="random")


def test_an_archive_is_read_without_unpacking_it_whole(tmp_path):
    path = write_faces(tmp_path / "faces.csv", training=300)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "a.csv")
    tracemalloc.start()
    assert sum(1 for _ in read_faces(tmp_path / "a.zip")) == 304
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 3
