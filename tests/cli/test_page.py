import base64
import re

from acr_sklearn.cli.page import Cell, figure, page, paragraph, section, table

EVIL = "<script>alert(1)</script>\"'&"


def test_no_text_becomes_html():
    parts = [
        paragraph(EVIL),
        section(EVIL, table([EVIL], [[Cell(EVIL, detail=EVIL)]], numbers=(0,))),
        figure("<svg/>", EVIL),
    ]
    whole = page(EVIL, parts)
    assert "<script" not in whole
    assert whole.count("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;") == 9


def test_a_page_needs_nothing_beside_it_and_runs_nothing():
    whole = page("t", [figure("<svg>ä</svg>", "c")])
    assert re.findall(r"(?:src|href)=\"(\w+:)", whole) == ["data:"]
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in whole
    assert base64.b64decode(re.search(r"base64,([^\"]+)", whole)[1]).decode() == "<svg>ä</svg>"
    assert 'name="viewport" content="width=device-width' in whole
    assert "prefers-color-scheme: dark" in whole
