"""Alternatives: whether another model of a version's family would have been less discriminatory.

Training makes the family and picks none. Here every member is scored and decided, under the
version's own limit policy, on the sealed customers that training never saw, compared with the
version customer by customer, and judged by the lines of the risk appetite. Nobody is chosen by
this; what is found is signed with the validator's key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from decisions import scoring
from decisions.features import FeatureSpec
from decisions.policy import LimitPolicy
from decisions.scoring import DEFAULT_PROBABILITY
from governance.appetite import RiskAppetite, Threshold
from governance.contract import Purpose
from governance.errors import ContractError, UsageError
from governance.evidence import Evidence
from governance.measurement import Measurement
from governance.measures.comparison import measure_accuracy
from governance.outcome import Outcome, worst
from governance.proportion import wilson
from governance.settings import Settings
from monitoring import maturity, verdict
from monitoring.bins import MINIMUM_CELL
from monitoring.counted_pairs import by_action, count_pairs, measure_ratios
from monitoring.decisions import ACTION, Asking, outcomes
from monitoring.maturity import LabelRule, Maturity
from monitoring.misjudgment import BAD, PENDING
from monitoring.paired_fairness import measure_gain
from monitoring.record import judge
from monitoring.verdict import Judgement
from privacy import gate
from privacy.feature_table import PSEUDONYM, FeatureTable, Part
from privacy.keyring import Keyring
from registry.alternatives import VerifiedFamily, load_alternatives
from registry.load import VerifiedModel, load_verified

MANDATE = "validation of a credit-limit model: fairness of its alternatives, sealed customers"
KIND = "alternatives"

_SEED = 20050930
_ACTIONS = ("raise", "hold", "cut", "refuse", "review")
_NOT_EVIDENCED = (
    "models outside the family that the developer signed were not tried",
    "that an alternative was fitted on open customers alone is the developer's word",
    "the validation judges the same sealed customers: choose by this, and judge on later ones",
    "every alternative decides under the version's policy; one made for it may do otherwise",
    "customers who were refused credit have no outcome and are not in the data",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyQuestion:
    """What is judged, on which day, by which lines and on whose order.

    Parameters
    ----------
    version : str
        ``latest``, ``champion`` or a number.
    contract : str
        Id of the contract whose training table is used.
    mandate : str
        Standing order for asking the audit vault; goes into its log.
    """

    version: str
    contract: str
    appetite: RiskAppetite
    on: date
    mandate: str = MANDATE


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedFamily:
    """What was found about a version's alternatives.

    Parameters
    ----------
    itself : str
        Name of the version beside its alternatives.
    measurements : tuple of Measurement
        JudgedFamily by the appetite; those of the evidence are not.
    """

    version: int
    itself: str
    family: VerifiedFamily
    evidence: Evidence
    measurements: tuple[Measurement, ...]
    judgements: tuple[Judgement, ...]
    lines: tuple[Threshold, ...]

    @property
    def outcome(self) -> Outcome:
        """The gravest verdict; a breach is an alternative that the version has to answer for."""
        return worst(found.outcome for found in self.judgements)

    def limit(self, measure: str, attribute: str) -> float | None:
        """Return the line for a measure: the most of a gain, or the least of a difference."""
        for line in self.lines:
            if line.measure == measure and line.scope.get("attribute", "*") in ("*", attribute):
                return line.at_least if line.at_most is None else line.at_most
        return None

    def as_signed(self) -> dict[str, object]:
        """Return what is signed beside the evidence."""
        return {
            "version": self.version,
            "study": self.family.digest,
            "rule": verdict.RULE,
            "lines": verdict.told(self.lines),
            "outcome": self.outcome.value,
            "verdicts": [found.as_json() for found in self.judgements],
        }


def judge_alternatives(
    settings: Settings, question: FamilyQuestion, *, done: Callable[[str], None] = lambda _: None
) -> JudgedFamily:
    """Measure and judge every alternative of a version; nothing is written or signed.

    Parameters
    ----------
    done : callable
        Called with the name of each model once it has been scored.

    Raises
    ------
    UsageError
        If no alternatives of the version were logged, there is no mandate or no audit vault.
    IntegrityError
        If version, alternatives or table are not what was signed or sealed.
    ContractError
        If there are no sealed customers, no label or no line in the appetite, or an alternative
        needs a column that the table lacks.
    """
    if not question.mandate.strip():
        raise UsageError("Asking the audit vault needs a mandate; say whose and why.")
    lines = verdict.lines(question.appetite, question.on)
    verified = load_verified(settings, question.version)
    family = load_alternatives(settings, verified.version)
    keyring = Keyring.open(settings.keyring)
    path = gate.latest(
        settings.features, contract_id=question.contract, purpose=Purpose.TRAINING, keyring=keyring
    )
    table = FeatureTable.open(path, keyring=keyring, part=Part.SEALED)
    asking = Asking(
        keyring=keyring, vault=settings.vault, purpose=table.purpose, mandate=question.mandate
    )
    references = asking.references()
    rows, known = _read(table, verified, question.on)
    itself = f"version-{verified.version}"
    policy = LimitPolicy.parse(verified.policy_text)
    models = {itself: (verified.estimator, verified.features_text)}
    models |= {one.name: (one.estimator, one.features_text) for one in family.members}
    decided = {}
    for name, (estimator, features_text) in models.items():
        scored = scoring.score(estimator, FeatureSpec.parse(features_text), rows, [PSEUDONYM])
        decided[name] = scoring.decide(policy, scored, as_of=question.on)
        done(name)
    found = tuple(_measure(known, decided, asking, references))
    judged = judge(found, question.appetite, question.on)
    return JudgedFamily(
        version=verified.version,
        itself=itself,
        family=family,
        evidence=Evidence(
            kind=KIND,
            subject={
                **verified.subject,
                "data": table.digest,
                "study": family.digest,
                **{f"alternative:{one.name}": one.digest for one in family.members},
            },
            measurements=found,
            measured_on=question.on,
            not_evidenced=(*known.not_evidenced, *_NOT_EVIDENCED),
        ),
        measurements=judged,
        judgements=tuple(
            verdict.judge(one.name, one.title, judged, question.appetite, question.on)
            for one in family.members
        ),
        lines=lines,
    )


def _read(table: FeatureTable, verified: VerifiedModel, on: date) -> tuple[pa.Table, Maturity]:
    """Read one row of each sealed customer, with the outcomes that the label rule lets count."""
    if table.num_rows == 0:
        raise ContractError(
            "The table has no sealed customers, so nobody is left whom training never saw. Protect "
            "a larger table; the gate seals about a fifth."
        )
    rule = LabelRule.of(verified.lineage, label=table.label, on=on)
    rows = table.read()
    if table.day is not None:
        rows = maturity.one_of_each(rows, table.day, rule)
    return rows, maturity.find(rows, rule)


def _measure(
    known: Maturity,
    decided: Mapping[str, pa.Table],
    asking: Asking,
    references: Mapping[str, str],
) -> Iterator[Measurement]:
    """Yield accuracy, limit actions and fairness of every model, the version first."""
    itself = next(iter(decided))
    outcome = outcomes(known.label)
    counts = pc.not_equal(outcome, PENDING)
    defaulted = np.asarray(pc.equal(outcome.filter(counts), BAD).to_numpy(), dtype=np.bool_)
    scores = {
        name: table[DEFAULT_PROBABILITY].filter(counts).to_numpy()
        for name, table in decided.items()
    }
    yield from measure_accuracy(scores, defaulted, version=itself, seed=_SEED, doubt=known.doubt)
    for name, table in decided.items():
        yield from _actions(name, table, decided[itself], is_other=name != itself)
    counted = {name: by_action(asking, table) for name, table in decided.items()}
    for name, groups in counted.items():
        yield from measure_ratios(groups, references, model=name)
    seen: set[object] = set()
    for name in [other for other in decided if other != itself]:
        pairs = count_pairs(
            asking, (decided[itself], decided[name]), (counted[itself], counted[name])
        )
        for (attribute, of), each in pairs.items():
            scope = {"alternative": name, "attribute": attribute, "of": of}
            for found in measure_gain(
                each, reference=references[attribute], scope=scope, version=itself, seed=_SEED
            ):
                # The version's own worst ratio comes with every alternative and is said once.
                if found.key not in seen:
                    seen.add(found.key)
                    yield found


def _actions(
    name: str, table: pa.Table, base: pa.Table, *, is_other: bool
) -> Iterator[Measurement]:
    """Yield which limit actions a model leads to, and how often they are not the version's."""
    n = table.num_rows
    counted = {
        action: pc.sum(pc.equal(table[ACTION], action), min_count=0).as_py() for action in _ACTIONS
    }
    shown = [action for action in _ACTIONS if counted[action]]
    small = [action for action in shown if counted[action] < MINIMUM_CELL]
    # All shares together are one, so a single withheld one would stand in the others.
    hidden = {*small, *sorted(shown, key=lambda action: counted[action])[: 2 * len(small)]}
    for action in shown:
        scope = {"alternative": name, "action": action}
        events = None if action in hidden else counted[action]
        yield _share("alternatives.action_share", scope, events, n)
    if is_other:
        moved = pc.sum(pc.not_equal(table[ACTION], base[ACTION]), min_count=0).as_py()
        told = None if 0 < moved < MINIMUM_CELL else moved
        yield _share("alternatives.other_action_share", {"alternative": name}, told, n)


def _share(measure: str, scope: Mapping[str, str], events: int | None, n: int) -> Measurement:
    if events is None:
        reason = f"A share of fewer than {MINIMUM_CELL} customers is withheld, with the next one."
        return Measurement(
            measure=measure, scope=scope, n=n, outcome=Outcome.INCONCLUSIVE, reason=reason
        )
    interval = wilson(events, n)
    return Measurement(
        measure=measure,
        scope=scope,
        value=events / n,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        n=n,
    )


def of_model(found: Sequence[Measurement], measure: str, **scope: str) -> Measurement | None:
    """Return the measurement of that name and scope, if it was taken."""
    return next((m for m in found if m.measure == measure and dict(m.scope) == scope), None)
