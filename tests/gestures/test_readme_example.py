"""The researcher's example of the README runs as printed."""

import re
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings

from tests.captures import capture, make_jpegs, make_open

pytest.importorskip("matplotlib")


def test_the_researchers_example_works_as_printed(live, session, monkeypatch, tmp_path):
    """README: one line opens the file; the path leaves out the frames that show no hand."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    text = Path(settings.BASE_DIR, "README.md").read_text()
    (code,) = re.findall(r"^```python features\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    names: dict = {}
    exec(code, names)

    outcome = capture(live.url, live.token, make_open(session), make_jpegs(6))
    rows = names["features"](live.url, live.token, outcome["record_id"])
    assert (rows.shape, rows.dtype) == ((6, 214), np.float32)

    rows = rows.copy()
    rows[2, 108:150] = 0
    path = names["hand_path"](rows)
    assert path.shape == (5, 2)
    assert (path[0] == rows[0, 108 + 16 : 108 + 18]).all()
    names["plot"](path)
