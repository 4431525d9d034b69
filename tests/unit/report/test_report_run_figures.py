import json

from facepipe.report.run_figures import run_figures
from tests.report_album import RUN


def test_a_run_reads_as_a_sentence() -> None:
    assert run_figures(RUN).sentence == "1,234 photos seen, 30 new, 1,201 known already, 3 failed, in 18.6 s"
    assert run_figures({"photos_seen": 1, "photos_new": 0, "seconds": 0.5}).sentence == "1 photo seen, in 0.50 s"


def test_stages_keep_their_order_and_share_the_time() -> None:
    stages = run_figures(RUN).stages
    assert [(stage.name, stage.inner) for stage in stages] == [
        ("ingest", False),
        ("extract", False),
        ("detect faces", True),
        ("group", False),
    ]
    assert [stage.share for stage in stages] == [3.8, 93.8, 56.1, 2.5]
    assert (stages[1].seconds, stages[1].rows, stages[1].rate) == ("15.2 s", "30", "1.97")


def test_what_the_run_does_not_say_is_left_out() -> None:
    empty = run_figures({})
    assert (empty.sentence, empty.facts, empty.stages, empty.versions, empty.settings) == ("", [], [], [], [])
    stage = run_figures({"stages": {"ingest": {"seconds": 0, "rows": 0}}}).stages[0]
    assert (stage.share, stage.rate) == (0.0, "")


def test_settings_are_written_as_they_are_set() -> None:
    assert run_figures(RUN).settings == [("decode.max_side", "2048"), ("detect.thresholds", "0.6, 0.7, 0.7")]


def test_json_text_of_the_runs_table_reads_the_same() -> None:
    text = {key: json.dumps(RUN[key]) for key in ("versions", "config", "stages")}
    assert run_figures(RUN | text) == run_figures(RUN)


def test_a_command_may_be_a_list() -> None:
    assert ("Command", "facepipe run /photos") in run_figures({"command": ["facepipe", "run", "/photos"]}).facts
