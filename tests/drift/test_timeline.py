"""Timeline: a square per window, the columns that drifted, and the user's texts as texts."""

import xml.etree.ElementTree as ET
from html.parser import HTMLParser

from redrec.drift.actions import with_actions
from redrec.drift.config import DriftConfig
from redrec.drift.history import DriftHistory, StartedTraining
from redrec.drift.timeline import MAX_SHOWN, timeline_page
from redrec.drift.verdicts import Drift
from tests.drift.results import NOW, column, scenario, span, window

HOSTILE = "</title></script><script>alert(1)</script>"


class Tags(HTMLParser):
    """The tags of a page, each with its attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of_class(self, tag: str, name: str) -> list[dict[str, str | None]]:
        return [attributes for own, attributes in self.tags if own == tag and attributes.get("class") == name]


def page(*windows: Drift, history: DriftHistory | None = None) -> Tags:
    history = history or DriftHistory()
    for one in windows:
        history = history.with_window(with_actions(one, history, DriftConfig()))
    return Tags(timeline_page(history, history.windows[-1]))


def test_each_window_is_a_square_of_its_verdict_with_its_action():
    drawn = page(window(0, ads="stable"), window(7, ads="drift"), window(14, ads="drift"), window(21, ads="missing"))
    in_row = [attributes for attributes in drawn.of_class("rect", "drift") if "rx" in attributes]
    assert len(in_row) == 2
    assert float(in_row[1]["x"]) > float(in_row[0]["x"])  # type: ignore[arg-type]
    assert "2026-01-19T00:00:00+00:00 to 2026-01-26T00:00:00+00:00: drift, retrain" in drawn.text
    assert "missing" in drawn.text and "look whether events are lost" in drawn.text


def test_the_effect_of_what_drifted_is_drawn_over_its_floor_in_every_window():
    calm = scenario("stable", category=column("stable", 0.015), clicks=column("stable"))
    drawn = page(window(0, ads=calm), window(7, ads=scenario("drift", category=column())))
    assert drawn.text.count("category: 0.50 of the floor") == drawn.text.count("category: 4.00 of the floor") == 1
    assert "clicks: " not in drawn.text
    heights = [float(dot["cy"]) for tag, dot in drawn.tags if tag == "circle" and "cy" in dot and dot.get("r") == "2.5"]  # type: ignore[arg-type]
    (floor,) = [float(line["y1"]) for line in drawn.of_class("line", "floor")]  # type: ignore[arg-type]
    assert heights[0] > floor > heights[1]


def test_texts_of_the_user_are_shown_as_texts():
    hostile = scenario("drift", **{HOSTILE: column()}).model_copy(update={"reason": f"the category {HOSTILE} is new"})
    training = StartedTraining(window=span(-14), started_at=NOW, reason=HOSTILE)
    drawn = page(window(0, **{HOSTILE: hostile}), history=DriftHistory().with_training(training))
    assert "script" not in {tag for tag, _ in drawn.tags}
    assert drawn.text.count(HOSTILE) >= 4


def test_a_long_history_shows_its_newest_windows():
    drawn = page(*(window(day, days=1, ads="stable") for day in range(MAX_SHOWN + 5)))
    assert len([one for one in drawn.of_class("rect", "stable") if "rx" in one]) == MAX_SHOWN


def test_a_result_without_windows_shows_its_words():
    newest = Drift(windows=None, scenarios={"ads": scenario("insufficient", "wait")})
    drawn = Tags(timeline_page(DriftHistory(), newest))
    assert "planted: insufficient." in drawn.text
    assert not [one for one in drawn.of_class("rect", "insufficient") if "rx" in one]


def test_the_drawings_are_well_formed():
    history = DriftHistory().with_window(window(0, ads="drift"))
    drawings = timeline_page(history, history.windows[-1]).split("<svg")[1:]
    for drawing in drawings:
        ET.fromstring("<svg" + drawing.split("</svg>")[0] + "</svg>")
    assert len(drawings) >= 6
