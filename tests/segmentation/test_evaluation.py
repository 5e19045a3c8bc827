"""The area under the curve, and files that are none."""

import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from gateway.__main__ import app
from personalization.segmentation.errors import EmptyPeriod, InvalidTransactions
from personalization.segmentation.evaluation import auc, evaluate
from personalization.segmentation.transactions import Transaction, read_transactions


def test_the_area_is_that_of_scikit_learn() -> None:
    drawn = np.random.default_rng(3)
    scores, positive = drawn.integers(0, 6, 200).astype(float), drawn.random(200) < 0.3
    assert auc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a,b\n1,2\n", "needs the columns"),
        ("customer,timestamp,value\na,2017-01-01,nan\n", "line 2"),
        ("customer,timestamp,value\na,2017-01-01,1\na,yesterday,1\n", "line 3"),
    ],
)
def test_bad_files_are_told(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(InvalidTransactions, match=told):
        read_transactions(path)


def test_nobody_after_the_cut_is_told() -> None:
    with pytest.raises(EmptyPeriod, match="earlier --cut"):
        evaluate([Transaction("a", datetime(2017, 9, 1, tzinfo=UTC), 100)], datetime(2017, 10, 1, tzinfo=UTC))


def test_the_embedded_shop_is_foretold_as_the_page_says(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "segments.md").read_text()
    file = tmp_path / "purchases.csv"
    written = CliRunner().invoke(app, ["data", "transactions", str(file)])
    told = CliRunner().invoke(app, ["segments", "evaluate", "--transactions", str(file), "--cut", "2017-10-01"])
    assert (written.exit_code, told.exit_code) == (0, 0)
    assert written.stdout.split(" in ")[0] in page
    customers, recipe, *_, figures, _difference = told.stdout.splitlines()
    assert customers in page
    assert recipe in page
    found, said = (re.findall(r"0\.\d+", text) for text in (figures, page.split("AUC of segments' rates")[1]))
    assert [float(each) for each in found] == pytest.approx([float(each) for each in said[:2]], abs=0.01)
