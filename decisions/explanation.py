"""Explanation of a decision: reasons of the policy and of the model, and what would have helped.

Everything that the log does not hold is computed again as a replay computes it, and a decision that
does not come out as it was logged is not explained but reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from decisions import engine, features, model_reasons, replay, scoring
from decisions.book import Engine
from decisions.decision_log import DecisionLog
from decisions.engine import Action
from decisions.model_reasons import Judged, Method
from decisions.plan import Moment, Plan
from decisions.policy import LimitPolicy
from decisions.reason_texts import REFINED, TEXTS, UNEXPLAINED, Text, principal_reasons, refined
from decisions.reasons import LOWERING, MOST_REASONS, Origin
from decisions.replay import Pinned
from governance.errors import IntegrityError, UsageError
from governance.outcome import Outcome
from governance.settings import Settings
from privacy.feature_table import PSEUDONYM
from privacy.keyring import Keyring
from privacy.pseudonym import PSEUDONYM_TYPE


def explain(policy: LimitPolicy, row: pa.RecordBatch, moment: Moment) -> dict[str, Any]:
    """Decide one customer and say why.

    Parameters
    ----------
    row : pyarrow.RecordBatch
        One row with the inputs of `policy`.

    Returns
    -------
    dict
        ``explanation/1``: limits, action, principal reasons in both languages, for a cut their
        origin, and every stage that moved the limit. It holds no input and no score.

    Raises
    ------
    UsageError
        If there is not exactly one row.
    ContractError
        As `decisions.engine.decide`.
    """
    if row.num_rows != 1:
        raise UsageError(f"One decision is explained at a time; {row.num_rows} rows were given.")
    as_of, freeze, climate = moment.as_of, moment.freeze, moment.climate
    decided = engine.decide(policy, row, as_of=as_of, freeze=freeze, climate=climate).to_pylist()[0]
    plan = Plan.of(policy, as_of=as_of, freeze=freeze, climate=climate)
    moves, last = [], decided["limit_before_minor"]
    for stage, limits in engine.trace(plan, row).items():
        if (after := int(limits[0])) != last:
            moves.append({"stage": stage, "from_minor": last, "to_minor": after})
            last = after
    return {
        **_document(decided),
        "policy": policy.stamp,
        "as_of": as_of.isoformat(),
        "currency": policy.currency,
        "stages": moves,
        "model_reasons": {**_because(Outcome.INCONCLUSIVE, UNEXPLAINED["no_model"]), "reasons": []},
    }


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
        ``explanation/1`` without the stages, with ``model_reasons`` that refine one of the policy's
        reasons and a ``counterfactual`` that was decided again before it is shown. It holds no
        score and no value of a feature.

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
    currency = log.identity["currency"]
    document = {**logged(decided), "currency": currency, "vintage": vintage, "row": row}
    mask, action = int(decided["reasons"]), decided["action"]
    if refined(mask, action) is None and not _is_own_doing(mask, action):
        because = {**_because(Outcome.INFO, UNEXPLAINED["nothing_to_refine"]), "reasons": []}
        return {**document, "model_reasons": because, "counterfactual": None}
    pinned = replay.pin(settings, log, keyring=keyring, pseudonyms=chosen[PSEUDONYM])
    if differing := replay.differences(chosen, pinned.decide()):
        raise IntegrityError(
            f"Row {row} of {vintage} comes out differently when decided again "
            f"({', '.join(differing)}); what would be explained is not what was decided."
        )
    explainer = Explainer.of(pinned.engine)
    return {
        **document,
        "model_reasons": explainer.reasons(pinned.rows, mask, action),
        "counterfactual": counterfactual(explainer, pinned, mask, action),
    }


def logged(decided: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``explanation/1`` of a logged decision as far as the log goes, without stages."""
    return {
        **_document(decided),
        "policy": decided["policy_stamp"],
        "model": decided["model_stamp"],
        "stages": None,
    }


def _document(decided: Mapping[str, Any]) -> dict[str, Any]:
    expiry = decided["uplift_expires_on"]
    return {
        "schema": "explanation/1",
        "action": decided["action"],
        "limit_before_minor": decided["limit_before_minor"],
        "limit_after_minor": decided["limit_after_minor"],
        "temporary_uplift_minor": decided["temporary_uplift_minor"],
        "uplift_expires_on": expiry.isoformat() if expiry else None,
        "reasons": _reasons(int(decided["reasons"]), str(decided["action"])),
    }


def _reasons(mask: int, action: str) -> list[dict[str, str | None]]:
    found: list[dict[str, str | None]] = []
    for reason in principal_reasons(mask, action):
        origin, text = LOWERING[reason].value if action == "cut" else None, TEXTS[reason]
        found.append({"code": str(reason.name), "en": text.en, "zh": text.zh, "origin": origin})
    return found


def _place(rows: pa.Table, vintage: str, row: int, kind: Action | None) -> int:
    """Return the row of the log that is meant."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Explainer:
    """A verified model with its explanation method.

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
        found = model_reasons.of_folder(engine.verified.folder, engine.spec)
        return cls(engine=engine, method=found)

    @property
    def trouble(self) -> Text | None:
        """Why this model gives no reasons, in both languages; ``None`` if it does."""
        version = self.engine.verified.version
        if self.method is None:
            return Text(
                f"Version {version} was handed over without {model_reasons.FILE}; its reasons are "
                "those of the policy alone. A version trained now has more.",
                f"版本{version}交付时未附{model_reasons.FILE},仅有策略原因;现在训练的版本会附带。",
            )
        if self.method.reason:
            zh = f"版本{version}的解释文件说明了缺少的内容:{self.method.reason}"
            return Text(self.method.reason, zh)
        return None

    @property
    def problem(self) -> str:
        """Why this model gives no reasons; empty if it does."""
        return "" if self.trouble is None else self.trouble.en

    @property
    def groups(self) -> tuple[str, ...]:
        """The reason groups of the model, in the order of its features."""
        return tuple(dict.fromkeys(self.engine.spec.reason_groups))

    def cited(self, rows: pa.Table) -> NDArray[np.int64]:
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
        return model_reasons.explain(
            self.engine.verified.estimator,
            spec,
            self.method.reference,
            matrix,
            negligible=self.method.negligible_log_odds,
        ).ranked

    def told(self, cited: Sequence[int], mask: int, action: str) -> tuple[Text, ...]:
        """Return the texts that refine one decision in a notice.

        What a principal reason of the policy says already is not said again, and policy and model
        together give no more than four reasons, but at least one of the model's where it has one.
        """
        if self.method is None or refined(mask, action) is None:
            return ()
        policy = [reason.name for reason in principal_reasons(mask, action)]
        texts = [self.method.texts[self.groups[place]] for place in cited if place >= 0]
        fresh = [text for text in texts if not set(text.covered_by) & set(policy)]
        room = max(1, MOST_REASONS - (len(policy) - 1))
        return tuple(Text(text.en, text.zh) for text in fresh[:room])

    def reasons(self, rows: pa.Table, mask: int, action: str) -> dict[str, Any]:
        """Return the model's reasons of one decision, the strongest first, four at most."""
        reason = refined(mask, action)
        if reason is None:
            return {**_because(Outcome.INFO, UNEXPLAINED["nothing_to_refine"]), "reasons": []}
        if self.method is None or self.trouble:
            because = _because(Outcome.INCONCLUSIVE, self.trouble)
            return {**because, "refines": reason.name, "reasons": []}
        cited = [self.groups[place] for place in self.cited(rows)[0] if place >= 0]
        texts, origin = self.method.texts, Origin.MODEL.value
        return {
            **(
                _because(Outcome.PASS) if cited else _because(Outcome.INFO, UNEXPLAINED["no_group"])
            ),
            "refines": reason.name,
            "how": self.method.how,
            "method_digest": self.method.digest,
            "reasons": [
                {"group": group, "en": texts[group].en, "zh": texts[group].zh, "origin": origin}
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
        because = _because(Outcome.INCONCLUSIVE, explainer.trouble or UNEXPLAINED["no_levers"])
        return {**because, "changes": []}
    spec = pinned.engine.spec

    def judge(rows: pa.Table) -> Judged:
        again = pinned.decide(rows)
        matrix = scoring.design_matrix(spec, features.compute(spec, rows))
        kept = pc.is_in(again["action"], pa.array([Action.HOLD.value, Action.RAISE.value]))
        limits = again["limit_after_minor"].to_numpy().astype(np.float64)
        return Judged(matrix, limits, kept.to_numpy())

    levers = explainer.method.levers
    found = model_reasons.smallest_changes(spec, levers, pinned.rows, judge)[0]
    if found is None:
        return {**_because(Outcome.INFO, UNEXPLAINED["not_enough"]), "changes": []}
    return {
        **_because(Outcome.PASS),
        "changes": [{"en": lever.en, "zh": lever.zh} for lever in found.levers],
        "limit_after_minor": int(found.after),
    }


def _because(outcome: Outcome, reason: Text | None = None) -> dict[str, str]:
    text = reason or Text("", "")
    return {"outcome": outcome.value, "reason": text.en, "reason_zh": text.zh}


def _is_own_doing(mask: int, action: str) -> bool:
    """Tell whether the customer's own figures cut the limit."""
    principal = principal_reasons(mask, action) if action == Action.CUT else []
    return any(LOWERING[reason] is Origin.MODEL for reason in principal)


@dataclass(frozen=True, slots=True, kw_only=True)
class VintageReasons:
    """What the model cites for the customers of a vintage whose limit it helped to cut.

    Parameters
    ----------
    customers : pyarrow.Array
        Their pseudonyms, ``(n,)``.
    cited : ndarray of int64, shape (n, 4)
        Positions of the cited groups; -1 where there are fewer.
    """

    explainer: Explainer
    customers: pa.Array
    cited: NDArray[np.int64]

    @property
    def outcome(self) -> Outcome:
        """``INCONCLUSIVE`` if the model gives no reasons and those of the policy stand alone."""
        return Outcome.INCONCLUSIVE if self.explainer.problem else Outcome.PASS

    def texts(self, batch: pa.RecordBatch) -> list[tuple[Text, ...]]:
        """Return the refining texts of each logged decision; empty where there are none."""
        places = pc.index_in(batch[PSEUDONYM], value_set=self.customers).to_pylist()
        rows = zip(places, batch["reasons"].to_pylist(), batch["action"].to_pylist(), strict=True)
        return [
            ()
            if place is None
            else self.explainer.told(self.cited[place].tolist(), int(mask), action)
            for place, mask, action in rows
        ]


def of_log(settings: Settings, log: DecisionLog, *, keyring: Keyring) -> VintageReasons:
    """Find the model's reasons for every customer of a vintage whose limit its risk cut.

    Two passes, both streamed: the log says who they are, the pinned table gives their rows. What
    stays in memory is twenty bytes for each such customer.

    Raises
    ------
    IntegrityError
        If log, model or table are not what they were when the decisions were made.
    """
    explainer = Explainer.of(replay.pinned_engine(settings, log))
    customers = _cut_by_risk(log) if not explainer.problem else pa.array([], PSEUDONYM_TYPE)
    if not len(customers):
        nobody = np.empty((0, MOST_REASONS), dtype=np.int64)
        return VintageReasons(explainer=explainer, customers=customers, cited=nobody)
    found, cited = [], []
    for batch in replay.pinned_table(settings, log, keyring=keyring).reader():
        rows = batch.filter(pc.is_in(batch[PSEUDONYM], value_set=customers))
        if rows.num_rows:
            found.append(rows[PSEUDONYM])
            cited.append(explainer.cited(pa.Table.from_batches([rows])))
    return VintageReasons(
        explainer=explainer, customers=pa.concat_arrays(found), cited=np.concatenate(cited)
    )


def _cut_by_risk(log: DecisionLog) -> pa.Array:
    wanted = int(sum(REFINED))
    parts = [
        batch[PSEUDONYM].filter(
            pc.and_(
                pc.equal(batch["action"], "cut"),
                pc.not_equal(pc.bit_wise_and(batch["reasons"], wanted), 0),
            )
        )
        for batch in log.reader((PSEUDONYM, "action", "reasons"))
    ]
    return pa.concat_arrays(parts) if parts else pa.array([], PSEUDONYM_TYPE)
