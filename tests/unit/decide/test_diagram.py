"""The page of states is the one that the tables say."""

from pathlib import Path

from xcom_rollout.decide.diagram import render

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "states.md"


def test_the_page_of_states_is_up_to_date() -> None:
    assert PAGE.read_text() == render(), (
        "run: python -m xcom_rollout.decide.diagram > docs/reference/states.md"
    )
