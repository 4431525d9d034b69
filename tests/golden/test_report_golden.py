"""A person's page, byte for byte.

After a wanted change: FACEPIPE_REGENERATE=1 .venv/bin/python -m pytest tests/golden/test_report_golden.py
"""

import os
from datetime import datetime
from pathlib import Path

from facepipe.report.gallery import write_report
from tests.report_album import RUN, Album

GOLDEN = Path(__file__).with_name("report_person.html")


def test_a_persons_page_is_as_it_was(tmp_path: Path) -> None:
    album = Album()
    first = album.photo("file:///photos/Rome%202019/IMG_1.jpg", faces=1, taken_at=datetime(2019, 5, 3, 12))
    second = album.photo("file:///photos/%3Cb%3E.jpg", faces=1)
    person_id = album.person([*first, *second], name="Zoë <3")
    index = write_report(album.tables(), RUN, tmp_path / "report")
    page = (index.parent / "people" / f"{person_id}.html").read_text(encoding="utf-8")
    if os.environ.get("FACEPIPE_REGENERATE"):
        GOLDEN.write_text(page, encoding="utf-8")
    assert page == GOLDEN.read_text(encoding="utf-8")
