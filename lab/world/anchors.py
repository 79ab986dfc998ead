"""What the real rows say: where accounts start, and how late payers move.

States are the six that UCI knows when 1 is merged into 2 and four or more months are pooled:
-2 no use, -1 paid in full, 0 revolving, 2, 3 and 4 or more months behind. The months are April to
August 2005. September (``pay_0``) is coded differently (3,688 customers in state 1 against 34 in
all other months together) and is never used to estimate a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from training import demo_data

CODES = np.array([-2, -1, 0, 2, 3, 4], dtype=np.int8)
STATES = len(CODES)
LATE = 3
SERIOUS = 4
DEEPEST = 5

# Oldest first; August is the last month that is coded like the others.
_STATUS = ("pay_6", "pay_5", "pay_4", "pay_3", "pay_2")
_BILLS = ("bill_amt6", "bill_amt5", "bill_amt4", "bill_amt3", "bill_amt2")
_PAYMENTS = ("pay_amt6", "pay_amt5", "pay_amt4", "pay_amt3", "pay_amt2")
_SMALLEST_PAYMENT = 0.03

States = NDArray[np.int8]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """What is taken from each of the 30,000 real rows.

    Parameters
    ----------
    status : ndarray of int8, shape (n_rows, 5)
        Index into `CODES`, April to August.
    own_risk : ndarray of float64, shape (n_rows,)
        Logit of the row's real next-month default given limit, utilization and payments, less its
        mean. The status is left out of it, because the chain carries it already.
    purchases : ndarray of float64, shape (n_rows,)
        Mean monthly purchases that the bills and payments imply.
    payment_share : ndarray of float64, shape (n_rows,)
        Lower median of the shares of bills that were paid.
    """

    status: States
    own_risk: Floats
    limit: Integers
    balance: Integers
    purchases: Floats
    payment_share: Floats
    sex: Integers
    education: Integers
    marriage: Integers
    age: Integers


@lru_cache(maxsize=1)
def load() -> Anchors:
    """Read the real rows once.

    Raises
    ------
    IntegrityError
        If the bundled file is not the published content.
    """
    table = demo_data.load()
    limit = table["limit_bal"].to_numpy()
    bills, payments = _columns(table, _BILLS), _columns(table, _PAYMENTS)
    implied = np.maximum(bills[:, 1:] - bills[:, :-1] + payments[:, 1:], 0.0)
    # Who never had a bill pays in full.
    paid = np.where(bills[:, :-1] > 0, payments[:, 1:] / np.maximum(bills[:, :-1], 1.0), np.nan)
    paid[np.isnan(paid).all(axis=1)] = 1.0
    traits = {name: table[name].to_numpy() for name in ("sex", "education", "marriage", "age")}
    return Anchors(
        status=states_of(_columns(table, _STATUS)),
        own_risk=_own_risk(table, limit, bills, payments),
        limit=limit,
        balance=np.clip(bills[:, -1], 0, limit).astype(np.int64),
        purchases=np.clip(implied.mean(axis=1), 0.01 * limit, 0.6 * limit),
        payment_share=np.clip(_lower_median(paid), _SMALLEST_PAYMENT, 1.0),
        **traits,
    )


def states_of(published: Floats | Integers) -> States:
    """Turn published repayment codes into indices of `CODES`; 1 becomes 2, 4 and more are one."""
    merged = np.where(published == 1, 2, np.minimum(published, 4))
    return np.searchsorted(CODES, merged).astype(np.int8)


def _columns(table: pa.Table, names: tuple[str, ...]) -> Floats:
    return np.stack([table[name].to_numpy().astype(np.float64) for name in names], axis=1)


def _lower_median(paid: Floats) -> Floats:
    known = np.isfinite(paid).sum(axis=1)
    middle: Floats = np.sort(paid, axis=1)[np.arange(len(paid)), (known - 1) // 2]
    return middle


def _own_risk(table: pa.Table, limit: Integers, bills: Floats, payments: Floats) -> Floats:
    """Return the logit of a logistic regression of the real label, less its mean."""
    use = np.clip(bills.mean(axis=1) / limit, 0.0, 1.2)
    paid = np.log1p(payments.mean(axis=1))
    design = np.stack([np.log(limit), use, paid, (payments == 0).mean(axis=1)], axis=1)
    scaled = StandardScaler().fit_transform(design)
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10)
    logit = model.fit(scaled, table[demo_data.LABEL].to_numpy()).decision_function(scaled)
    # Six digits are far more than the fit knows and hide how a processor orders its sums.
    centered: Floats = np.round(logit - logit.mean(), 6)
    return centered
