"""One logged decision explained: the policy's reasons, the model's, and what would have helped.

Everything that the log does not hold is computed again as a replay computes it, and a decision that
does not come out as it was logged is not explained but reported.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from decisions import features, replay, scoring
from decisions.decision_log import DecisionLog
from decisions.engine import Action
from decisions.explaining.adverse import Explainer, refined
from decisions.explaining.counterfactual import Judged, smallest_changes
from decisions.explanation import logged, principal_reasons
from decisions.reasons import LOWERING, Origin, Text
from decisions.replay import Pinned
from governance.errors import IntegrityError, UsageError
from governance.outcome import Outcome
from governance.settings import Settings
from privacy.feature_table import PSEUDONYM
from privacy.keyring import Keyring

NOTHING_TO_REFINE = Text(
    "The risk that the model assessed is no reason of this decision.",
    "模型评估的风险不是本次决定的原因。",
)
NO_GROUP = Text(
    "No group of behavior raises the risk beyond that of the reference.",
    "没有任何一类行为使风险高于参照客户。",
)
NO_LEVERS = Text(
    "The model declares nothing that customers can change.", "模型未声明客户可以改变的事项。"
)
NOT_ENOUGH = Text(
    "Nothing that the model declares as changeable would have been enough by itself.",
    "仅凭模型所声明的可改变事项,不足以避免下调。",
)


def of_vintage(
    settings: Settings, vintage: str, row: int, *, kind: Action | None = None
) -> dict[str, Any]:
    """Explain one decision of a vintage.

    Parameters
    ----------
    row : int
        Its place in the log, from 0; with `kind`, its place among the decisions of that kind.

    Returns
    -------
    dict
        ``explanation/1`` of `decisions.explanation.logged`, with ``model_reasons`` that refine
        one of the policy's reasons and a ``counterfactual`` that was decided again before
        it is shown. It holds no score and no value of a feature.

    Raises
    ------
    UsageError
        If the vintage was not decided or has no such decision.
    IntegrityError
        If log, model or table are not what they were, or the decision comes out differently.
    """
    keyring = Keyring.open(settings.keyring)
    log = DecisionLog.open(settings.decisions / vintage, keyring=keyring)
    rows = log.read()
    row = _place(rows, vintage, row, kind)
    chosen = rows.slice(row, 1)
    decided = chosen.to_pylist()[0]
    currency = log.identity.get("currency")
    document = {**logged(decided), "currency": currency, "vintage": vintage, "row": row}
    mask, action = int(decided["reasons"]), str(decided["action"])
    if not _is_asked(mask, action):
        said = {**_said(Outcome.INFO, NOTHING_TO_REFINE), "reasons": []}
        return {**document, "model_reasons": said, "counterfactual": None}
    pinned = replay.pin(settings, log, keyring=keyring, pseudonyms=chosen[PSEUDONYM])
    if differing := replay.differences(chosen, pinned.decide()):
        raise IntegrityError(
            f"Row {row} of {vintage} comes out differently when decided again "
            f"({', '.join(differing)}); what would be explained is not what was decided."
        )
    explainer = Explainer.of(pinned.engine)
    return {
        **document,
        "model_reasons": model_reasons(explainer, pinned.rows, mask, action),
        "counterfactual": counterfactual(explainer, pinned, mask, action),
    }


def _place(rows: pa.Table, vintage: str, row: int, kind: Action | None) -> int:
    """Return the row of the log that is asked for."""
    if kind is None:
        if not 0 <= row < rows.num_rows:
            raise UsageError(f"The vintage {vintage} has the rows 0 to {rows.num_rows - 1}.")
        return row
    places = np.flatnonzero(pc.equal(rows["action"], kind.value).to_numpy())
    if not 0 <= row < len(places):
        raise UsageError(
            f"The vintage {vintage} has {len(places):,} decisions of the kind {kind.value}; "
            f"--row counts them from 0 and asks for {row}."
        )
    return int(places[row])


def model_reasons(explainer: Explainer, rows: pa.Table, mask: int, action: str) -> dict[str, Any]:
    """Return the model's reasons of one decision, the strongest first, four at most."""
    reason = refined(mask, action)
    if reason is None:
        return {**_said(Outcome.INFO, NOTHING_TO_REFINE), "reasons": []}
    if explainer.method is None or explainer.trouble:
        said = _said(Outcome.INCONCLUSIVE, explainer.trouble)
        return {**said, "refines": reason.name, "reasons": []}
    cited = [explainer.groups[place] for place in explainer.cited(rows)[0] if place >= 0]
    texts = explainer.method.texts
    return {
        **(_said(Outcome.PASS) if cited else _said(Outcome.INFO, NO_GROUP)),
        "refines": reason.name,
        "how": explainer.method.how,
        "method_digest": explainer.method.digest,
        "reasons": [
            {
                "group": group,
                "en": texts[group].en,
                "zh": texts[group].zh,
                "origin": Origin.MODEL.value,
            }
            for group in cited
        ],
    }


def counterfactual(
    explainer: Explainer, pinned: Pinned, mask: int, action: str
) -> dict[str, Any] | None:
    """Return the smallest declared change with which this limit would not have been cut.

    The change is made on the released columns of the day; features, default probability and limit
    are then computed anew by the model and the policy that decided.
    """
    if not _is_own_doing(mask, action):
        return None
    if explainer.method is None or not explainer.method.levers:
        return {**_said(Outcome.INCONCLUSIVE, explainer.trouble or NO_LEVERS), "changes": []}
    spec = pinned.engine.spec

    def judge(rows: pa.Table) -> Judged:
        again = pinned.decide(rows)
        matrix = scoring.design_matrix(spec, features.compute(spec, rows))
        kept = pc.is_in(again["action"], pa.array([Action.HOLD.value, Action.RAISE.value]))
        limits = again["limit_after_minor"].to_numpy().astype(np.float64)
        return Judged(matrix, limits, kept.to_numpy())

    found = smallest_changes(spec, explainer.method.levers, pinned.rows, judge)[0]
    if found is None:
        return {**_said(Outcome.INFO, NOT_ENOUGH), "changes": []}
    return {
        **_said(Outcome.PASS),
        "changes": [{"en": lever.en, "zh": lever.zh} for lever in found.levers],
        "limit_after_minor": int(found.after),
    }


def _said(outcome: Outcome, reason: Text | None = None) -> dict[str, str]:
    said = reason or Text("", "")
    return {"outcome": outcome.value, "reason": said.en, "reason_zh": said.zh}


def _is_asked(mask: int, action: str) -> bool:
    return refined(mask, action) is not None or _is_own_doing(mask, action)


def _is_own_doing(mask: int, action: str) -> bool:
    """Tell whether the customer's own figures cut the limit."""
    told = principal_reasons(mask, action) if action == Action.CUT else []
    return any(LOWERING[reason] is Origin.MODEL for reason in told)
