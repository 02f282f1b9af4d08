"""The text of a finished run."""

from cli import run_result
from tests.worlds import TinyRun


def test_the_report_of_a_run_can_be_read_by_a_person(tiny_run: TinyRun):
    text = run_result.run_text(run_result.read_run(tiny_run.folder))
    assert "hit_rate@10" in text and "mean_of_last_n" in text and "without homefeed" in text
    assert "examples.json" in text and "recipe.yaml" in text
    assert f"serve --run {tiny_run.folder}" in text


def test_a_run_without_test_users_has_no_example_and_still_a_next_command(tiny_run: TinyRun):
    run = run_result.read_run(tiny_run.folder)._replace(examples=[])
    assert "no example" in run_result.examples_text(run.examples)
    assert "query --user U --scenario homefeed" in run_result.next_text(run)


def test_of_ten_items_the_best_five_and_the_wanted_ones_are_shown_and_equal_titles_told_apart():
    def item(item_id: str, category: str | None, **more: object) -> dict:
        return {"item_id": item_id, "title": "Soup", "category": category} | more

    history = [item("i1", "cans", scenario="ads", action="buy")]
    others = [{"item_id": f"j{n}", "title": f"Tea {n}", "category": None, "hit": n == 8} for n in range(3, 11)]
    recommended = {"ads": [item("i1", "cans", hit=True), item("i2", None, hit=False), *others]}
    lines = run_result.examples_text([{"user_id": "u1", "history": history, "recommended": recommended}]).splitlines()
    assert lines[3:] == [
        "    ads buy: Soup (cans)",
        "    recommended in ads:",
        "      *  1 Soup (cans)",
        "         2 Soup (i2)",
        "         3 Tea 3",
        "         4 Tea 4",
        "         5 Tea 5",
        "      *  8 Tea 8",
    ]
