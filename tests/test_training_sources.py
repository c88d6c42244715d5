"""What a run trains on: folders, faces and pairs, how they are shared out, and what is said of wrong ones."""

from __future__ import annotations

import pytest

import faces_csv
import tiny_runs
from grainless.errors import DataError
from grainless.training.recipe import load_recipe
from grainless.training.sources import (
    check_data,
    checksum,
    load_run_data,
    open_source,
    pick_by_hash,
    reopen_source,
    report_faults,
    write_split,
)

FACES = ("data.kind=faces", "data.channels=1")
PAIRS = ("data.kind=pairs", "noise=[]", "validation_noise=[]")


@pytest.fixture
def recipe(tmp_path):
    path = tiny_runs.recipe_file(tmp_path)
    return lambda *changes: load_recipe(path, changes)


def names(source, part):
    return [source.store.names[index] for index in getattr(source, part)]


def test_a_folder_keeps_test_pictures_apart(tmp_path, recipe):
    data = tiny_runs.pictures(tmp_path / "p", count=30)
    chosen = recipe("data.test_share=0.3", "data.validation_share=0.2")
    source = open_source(data, chosen, tmp_path / "run")
    parts = [set(names(source, part)) for part in ("training", "validation", "test")]
    assert len(set.union(*parts)) == 30 == sum(map(len, parts))
    assert parts[2] == set(pick_by_hash(source.store.names, 0.3))
    assert 3 <= len(parts[2]) <= 16
    # Other pictures beside them change nothing for those that are there.
    tiny_runs.write_pixels(data / "a/new.png", tiny_runs.pixels_for("new"))
    more = open_source(data, chosen, tmp_path / "other")
    assert set(names(more, "test")) - {"a/new.png"} == parts[2]


def test_the_progress_of_decoding_is_told(tmp_path, recipe):
    file, told = faces_csv.write_faces(tmp_path / "faces.csv", training=5, public=2, private=3), []
    open_source(file, recipe(*FACES), tmp_path / "run", progress=lambda *counts: told.append(counts))
    assert told[-1] == (file.stat().st_size, file.stat().st_size)
    tiny_runs.pictures(tmp_path / "p")
    open_source(tmp_path / "p", recipe(), tmp_path / "other", progress=lambda *counts: told.append(counts))
    assert told[-1] == (6, 6)


def test_the_checksum_is_that_of_names_and_pixels(tmp_path, recipe):
    data = tiny_runs.pictures(tmp_path / "p")
    first = checksum(open_source(data, recipe(), tmp_path / "run"))
    assert checksum(open_source(data.rename(tmp_path / "q"), recipe(), tmp_path / "moved")) == first
    (tmp_path / "q/a/0.png").rename(tmp_path / "q/a/00.png")
    renamed = checksum(open_source(tmp_path / "q", recipe(), tmp_path / "renamed"))
    tiny_runs.write_pixels(tmp_path / "q/a/00.png", tiny_runs.pixels_for("other"))
    changed = checksum(open_source(tmp_path / "q", recipe(), tmp_path / "changed"))
    assert len({first, renamed, changed}) == 3


def test_without_a_share_there_is_no_test(tmp_path, recipe):
    source = open_source(tiny_runs.pictures(tmp_path / "p"), recipe(), tmp_path / "run")
    assert source.test == []


def test_faces_are_shared_out_by_their_usage(tmp_path, recipe):
    file = faces_csv.write_faces(tmp_path / "faces.csv", training=5, public=2, private=3)
    source = open_source(file, recipe(*FACES), tmp_path / "run")
    assert [len(names(source, part)) for part in ("training", "validation", "test")] == [5, 3, 2]
    assert all(name.startswith("PublicTest/") for name in names(source, "test"))
    assert source.read(0).shape == (48, 48, 1)


def test_limits_take_even_steps(tmp_path, recipe):
    file = faces_csv.write_faces(tmp_path / "faces.csv", training=9, public=2, private=8)
    source = open_source(file, recipe(*FACES, "data.validation_limit=2"), tmp_path / "run", limit=3)
    assert names(source, "training") == ["Training/00000", "Training/00003", "Training/00006"]
    assert len(source.validation) == 2
    assert len(source.test) == 2


def test_pairs_are_read_as_one(tmp_path, recipe):
    for folder in ("noisy", "clean"):
        tiny_runs.pictures(tmp_path / "data" / folder, count=4)
    source = open_source(tmp_path / "data", recipe(*PAIRS), tmp_path / "run")
    assert source.read(1).shape == (40, 48, 6)
    write_split(source, tmp_path / "run", data=tmp_path / "data", resume=False)
    again = reopen_source(tmp_path / "run", recipe(*PAIRS))
    assert (again.read(2) == source.read(2)).all()


def test_pairs_may_be_told_by_their_names(tmp_path, recipe, caplog):
    data = tmp_path / "data"
    for folder, ending in (("noisy", "real"), ("clean", "mean")):
        source = tiny_runs.pictures(tmp_path / folder, count=4)
        for path in source.rglob("*.png"):
            target = data / f"{path.parent.name}{path.stem}_{ending}.png"
            data.mkdir(exist_ok=True)
            path.rename(target)
    (data / "b1_mean.png").write_bytes((data / "b3_mean.png").read_bytes())
    (data / "b1_real.png").write_bytes((data / "b3_real.png").read_bytes())
    chosen = recipe(*PAIRS, 'data.pairs=["*_real.png", "*_mean.png"]')
    check_data(data, chosen)
    source = open_source(data, chosen, tmp_path / "run")
    assert len(source.store) == 4
    report_faults(source, data, pairs=chosen.data.pairs)
    assert caplog.messages[-1] == (
        f"`grainless check-data {data} --pairs '*_real.png' '*_mean.png'` looks further"
    )
    with pytest.raises(DataError, match=r"No picture in .*data is called \*_noisy\.png"):
        check_data(data, recipe(*PAIRS, 'data.pairs=["*_noisy.png", "*_mean.png"]'))


def test_a_split_is_written_and_read_again(tmp_path, recipe):
    data = tiny_runs.pictures(tmp_path / "p", count=20)
    source = open_source(data, recipe("data.test_share=0.3"), tmp_path / "run")
    write_split(source, tmp_path / "run", data=data, resume=False)
    assert load_run_data(tmp_path / "run")["test"] == names(source, "test")
    again = reopen_source(tmp_path / "run", recipe())
    assert (again.training, again.validation, again.test) == (source.training, source.validation, source.test)


def test_faults_of_the_data_are_said_a_line_for_each_kind(tmp_path, recipe, caplog):
    data = tiny_runs.pictures(tmp_path / "p", count=8)
    chosen = recipe('data.validation=["a/0.png"]')
    report_faults(open_source(data, chosen, tmp_path / "run"), data)
    assert caplog.messages == []
    for name in ("b/3.png", "b/5.png"):
        (data / name).write_bytes((data / "b/1.png").read_bytes())
    (data / "a/4.png").write_bytes((data / "a/0.png").read_bytes())
    report_faults(open_source(data, chosen, tmp_path / "other"), data)
    assert caplog.messages == [
        "Twice in the data: b/3.png, the same picture as b/1.png, and 1 more. Keep one of the two",
        "In two parts that must share nothing: a/4.png, the same picture as a/0.png. "
        "Remove it from one of the two parts",
        f"`grainless check-data {data}` looks further",
    ]


def test_wrong_data_is_said_before_anything_is_read(tmp_path, recipe):
    file = faces_csv.write_faces(tmp_path / "faces.csv")
    with pytest.raises(DataError, match=r"trains on the faces of FER2013.*\.csv"):
        check_data(tmp_path, recipe(*FACES))
    with pytest.raises(
        DataError, match=r"trains on a folder of pictures.*faces\.csv.*choose a recipe for faces"
    ):
        check_data(file, recipe())
    with pytest.raises(DataError, match=r"does not exist.*noisy"):
        check_data(tmp_path, recipe(*PAIRS))
    check_data(file, recipe(*FACES))
