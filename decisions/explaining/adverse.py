"""Adverse decisions refined: what behind a risk the policy acted on, in the model's own terms.

The policy says that the assessed risk is why a limit went down; the model says which behavior made
the risk what it is. Only such decisions are asked about, and only where the signed model fixes how.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from decisions import features, scoring
from decisions.book import Engine
from decisions.explaining import method as methods
from decisions.explaining.contributions import explain
from decisions.explaining.method import Method
from decisions.explanation import MOST_REASONS, principal_reasons
from decisions.reasons import Reason, Text

REFINED = (Reason.HIGH_RISK, Reason.PROBABILITY_JUMP)
"""The policy reasons that stand on the default probability and on nothing else."""

Places = NDArray[np.int64]


def refined(mask: int, action: str) -> Reason | None:
    """Return the told reason that the model can say more about, or ``None``.

    Examples
    --------
    >>> refined(Reason.HIGH_RISK | Reason.EARLY_WARNING, "cut")
    <Reason.HIGH_RISK: 2>
    >>> refined(Reason.EARLY_WARNING, "cut") is None
    True
    """
    if action not in ("cut", "hold"):
        return None
    told = principal_reasons(mask, action)
    return next((reason for reason in REFINED if reason in told), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explainer:
    """A verified model that is asked why.

    Parameters
    ----------
    method : Method or None
        ``None`` for a version that was handed over without one.
    """

    engine: Engine
    method: Method | None

    @classmethod
    def of(cls, engine: Engine) -> Explainer:
        """Read the explanation of a verified model, if it has one.

        Raises
        ------
        IntegrityError
            If the folder has one that is not that of its features.
        """
        return cls(engine=engine, method=methods.of_folder(engine.verified.folder, engine.spec))

    @property
    def problem(self) -> str:
        """Why this model gives no reasons; empty if it does."""
        return "" if self.trouble is None else self.trouble.en

    @property
    def trouble(self) -> Text | None:
        """Why this model gives no reasons, in both languages."""
        version = self.engine.verified.version
        if self.method is None:
            return Text(
                f"Version {version} was handed over without {methods.FILE}; its reasons are those "
                "of the policy alone. A version trained now has more.",
                f"版本{version}交付时未附{methods.FILE},仅有策略原因;现在训练的版本会附带。",
            )
        if self.method.reason:
            zh = f"版本{version}的解释文件说明了缺少的内容:{self.method.reason}"
            return Text(self.method.reason, zh)
        return None

    def cited(self, rows: pa.Table) -> Places:
        """Return the cited reason groups of released rows, the strongest first.

        Returns
        -------
        ndarray of int64, shape (n_rows, at most 4)
            Positions in `groups`; -1 where there are fewer.
        """
        if self.method is None or self.method.reference is None or self.problem:
            return np.full((rows.num_rows, 1), -1, dtype=np.int64)
        spec = self.engine.spec
        matrix = scoring.design_matrix(spec, features.compute(spec, rows))
        return explain(
            self.engine.verified.estimator,
            spec,
            self.method.reference,
            matrix,
            negligible=self.method.negligible_log_odds,
        ).ranked

    @property
    def groups(self) -> tuple[str, ...]:
        """The reason groups of the model, in the order of its features."""
        return tuple(dict.fromkeys(self.engine.spec.reason_groups))

    def told(self, cited: Sequence[int], mask: int, action: str) -> tuple[Text, ...]:
        """Return the texts that refine one decision in a notice.

        What a told policy reason says already is not said again, and policy and model together
        give no more than four reasons, but at least one of the model's where it has one.
        """
        if self.method is None or refined(mask, action) is None:
            return ()
        policy = [reason.name for reason in principal_reasons(mask, action)]
        texts = [self.method.texts[self.groups[place]] for place in cited if place >= 0]
        fresh = [text for text in texts if not set(text.covered_by) & set(policy)]
        room = max(1, MOST_REASONS - (len(policy) - 1))
        return tuple(Text(text.en, text.zh) for text in fresh[:room])
