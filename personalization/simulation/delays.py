"""When simulated shoppers do things: log-normal delays, as reaction times are."""

from math import exp, log
from random import Random
from statistics import NormalDist

WINDOW = 20.0
"""Seconds after a decision within which an outcome counts."""

DETAIL_MEDIAN = 4.0
BASKET_MEDIAN = 5.0
SPREAD = 0.6
"""Median seconds from a decision to a detail, from there to the basket, and the deviation of their logarithms."""

_STEPS = 2_000


def detail_delay(chance: Random) -> float:
    """Seconds from a decision to when a product of it is opened."""
    return chance.lognormvariate(log(DETAIL_MEDIAN), SPREAD)


def basket_delay(chance: Random) -> float:
    """Seconds from when a product is opened to when it is put into the basket."""
    return chance.lognormvariate(log(BASKET_MEDIAN), SPREAD)


def report_delay(chance: Random) -> float:
    """Seconds from when a shopper does something to when the gateway is told."""
    return chance.uniform(0.05, 0.6)


def _in_time(median: float, seconds: float) -> float:
    return NormalDist(log(median), SPREAD).cdf(log(seconds)) if seconds > 0 else 0.0


def _basket_in_time() -> float:
    """The sum of both delays is within the window: the integral over the first one's quantiles, by midpoints."""
    first = NormalDist(log(DETAIL_MEDIAN), SPREAD)
    quantiles = (exp(first.inv_cdf((step + 0.5) / _STEPS)) for step in range(_STEPS))
    return sum(_in_time(BASKET_MEDIAN, WINDOW - each) for each in quantiles) / _STEPS


DETAIL_IN_TIME = _in_time(DETAIL_MEDIAN, WINDOW)
BASKET_IN_TIME = _basket_in_time()
"""How likely a detail, or a basket, comes within the window, if it comes."""
