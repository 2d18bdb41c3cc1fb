"""``make test`` counts what its runs report, and a run that breaks off counts as failed."""

from tests.__main__ import Count

REPORT = (
    '<testsuites><testsuite tests="{tests}" failures="{failures}" errors="{errors}" skipped="{skipped}"/></testsuites>'
)


def counted(tmp_path, exit_code, **numbers):
    report = tmp_path / "report.xml"
    report.write_text(REPORT.format(**{"tests": 0, "failures": 0, "errors": 0, "skipped": 0, **numbers}))
    count = Count()
    count.add("SQLite", report, exit_code)
    return count


def test_what_did_not_fail_and_was_not_skipped_passed(tmp_path):
    count = counted(tmp_path, 1, tests=10, failures=2, errors=1, skipped=3)

    assert (count.passed, count.failed, count.skipped, count.broken) == (4, 3, 3, [])


def test_a_run_that_breaks_off_without_a_failed_test_is_broken(tmp_path):
    assert counted(tmp_path, 4, tests=1).broken == ["SQLite (exit code 4)"]


def test_a_run_that_leaves_no_report_is_broken(tmp_path):
    count = Count()
    count.add("SQLite", tmp_path / "missing.xml", -9)

    assert count.broken == ["SQLite (exit code -9)"]
