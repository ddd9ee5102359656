"""What counts say of a rate, at every moment of looking and not only at one chosen before.

A guard that looks after each lumisection and stops at the first bad sight must not stop healthy bits by looking often.
At the k-th look an interval is made at the error ``error / (k (k + 1))``; these sum to ``error``, so that by the union
bound all intervals of one watch hold together with probability ``1 - error``, however long it looks.  *Certain* means:
such an interval excludes what is allowed.  Nothing here knows what is counted.

References:
    D. Darling, H. Robbins, Confidence sequences for mean, variance, and median, PNAS 58 (1967) 66,
    doi:10.1073/pnas.58.1.66 (intervals that hold at all times);
    C. Clopper, E. Pearson, Biometrika 26 (1934) 404, doi:10.1093/biomet/26.4.404 (shares);
    F. Garwood, Biometrika 28 (1936) 437, doi:10.1093/biomet/28.3-4.437 (counts).
"""

import math

from scipy import stats

ERROR = 1e-3


def error_at(look: int, error: float = ERROR) -> float:
    """Return the error that the k-th look may make, k from 1; the errors of all looks sum to ``error``.

    >>> round(sum(error_at(k, 0.05) for k in range(1, 100_000)), 6)
    0.05
    """
    return error / (look * (look + 1.0))


def share_interval(hits: int, trials: int, look: int, error: float = ERROR) -> tuple[float, float]:
    """Return the Clopper-Pearson interval of a share that holds at every look at once, 0 to 1.

    Args:
        hits: So far, of ``trials``.
        trials: So far.
        look: How often one has looked, this time included.
        error: Probability that any interval of the whole watch misses the share.
    """
    tail = 0.5 * error_at(look, error)
    low = 0.0 if hits == 0 else float(stats.beta.ppf(tail, hits, trials - hits + 1))
    high = 1.0 if hits == trials else float(stats.beta.isf(tail, hits + 1, trials - hits))
    return low, high


def ratio_interval(
    counts: int, expected: float, relative: float, look: int, error: float = ERROR
) -> tuple[float, float]:
    r"""Return an interval for counts over forecast, with the forecast's own uncertainty, at every look at once.

    Half the error goes to the counts, by Garwood's interval of a Poisson mean at this look, half to the forecast, whose
    logarithm is taken as normal with the standard deviation :math:`\sigma` (``relative``) and which is made once:

    .. math:: \bigl[\mu_-/\mu_0\, e^{-z\sigma},\ \mu_+/\mu_0\, e^{z\sigma}\bigr]

    with :math:`z` the two-sided normal quantile of half the error.  For zero-bias events the counts are binomial, which
    vary less than Poisson: the interval is then on the safe side.

    Args:
        counts: So far.
        expected: The forecast of them, above 0.
        relative: Its relative standard deviation.
        look: How often one has looked, this time included.
        error: Probability that any interval of the whole watch misses the ratio.
    """
    tail = 0.25 * error_at(look, error)
    low = 0.0 if counts == 0 else float(stats.gamma.ppf(tail, counts))
    high = float(stats.gamma.isf(tail, counts + 1))
    spread = math.exp(float(stats.norm.isf(0.25 * error)) * relative)
    return low / expected / spread, high / expected * spread
