"""Findings and reports: order, counts, and the JSON form."""

from __future__ import annotations

import json

from grainless.doctor import JSON_VERSION, KINDS, Finding, Report
from grainless.doctor.findings import report_of


def test_every_kind_has_a_title_a_severity_and_a_remedy() -> None:
    for name, kind in KINDS.items():
        assert name == name.lower()
        assert kind.title[0].isupper()
        assert kind.severity in {"fault", "note"}
        assert kind.remedy
        assert not kind.remedy.endswith(".")
    severities = [kind.severity for kind in KINDS.values()]
    assert severities == sorted(severities), "faults are shown before notes"


def test_a_report_is_in_order_and_counts() -> None:
    found = [
        Finding("b", "odd-size", "x"),
        Finding("b", "noisy", "x"),
        Finding("a", "noisy", "x"),
        Finding("c", "unreadable", "x"),
    ]
    report = report_of("folder", 9, found)
    assert [(finding.kind, finding.file) for finding in report.findings] == [
        ("unreadable", "c"),
        ("noisy", "a"),
        ("noisy", "b"),
        ("odd-size", "b"),
    ]
    assert len(report.faults) == 3
    assert [finding.kind for finding in report.notes] == ["odd-size"]
    assert report.counts == {"unreadable": 1, "noisy": 2, "odd-size": 1}
    assert report_of("folder", 9, found[::-1]) == report


def test_the_json_form_holds_everything_that_was_promised() -> None:
    report = report_of("folder", 2, [Finding("b", "leak", "the same picture as t/a", "t/a")])
    content = json.loads(json.dumps(report.as_json()))
    assert content == {
        "version": JSON_VERSION,
        "path": "folder",
        "pictures": 2,
        "findings": [
            {
                "file": "b",
                "kind": "leak",
                "severity": "fault",
                "found": "the same picture as t/a",
                "remedy": KINDS["leak"].remedy,
                "other": "t/a",
            }
        ],
    }
    assert Report("empty", 0, ()).as_json()["findings"] == []
