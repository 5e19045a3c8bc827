"""The regression beside scikit-learn's, and the search for the least."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from personalization.classification.dataset import Period, Rows
from personalization.classification.logistic import fit_logistic
from personalization.classification.train import least
from tests.classification.shoppers import Shoppers


def test_probabilities_are_those_of_scikit_learn() -> None:
    frozen = Shoppers(noise=0.2).observe(Period.parse("2017-10"))
    fitted = fit_logistic(Rows(frozen.table, frozen.labels))
    design = fitted.design(frozen.table)[:, 1:]
    theirs = LogisticRegression(C=1.0, max_iter=2000, tol=1e-8).fit(design, list(frozen.labels)).predict_proba(design)
    assert fitted.segments == tuple(sorted(set(frozen.labels)))
    np.testing.assert_allclose(fitted.probabilities(frozen.table), theirs, atol=2e-3)


def test_the_least_is_found() -> None:
    assert least(lambda x: (x - 0.3) ** 2, -2.0, 2.0) == pytest.approx(0.3, abs=1e-4)
