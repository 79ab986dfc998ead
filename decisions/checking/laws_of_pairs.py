"""Laws that compare: the same customer with one thing changed, or the same day in another climate.

A single decision cannot show that risk is priced the right way round; two can.
"""

from __future__ import annotations

import numpy as np

from decisions.checking.lawbook import Case
from decisions.checking.laws import Law, Verdict, nobody
from decisions.inputs import Flags
from decisions.reasons import Text
from decisions.stages.climate import Climate, Freeze, Regime
from decisions.stages.plan import Integers


def _nothing(case: Case) -> Verdict:
    return nobody(case), nobody(case)


def _ordered(case: Case, name: str, other: str, *, larger_gets_less: bool) -> Verdict:
    """Compare the customer with one who differs in `name` alone."""
    if not case.has(name, other):
        return _nothing(case)
    again = case.given(**{name: case.batch.column(other)})
    here, there = case[name], again[name]
    compared = ~case.is_reviewed & ~again.is_reviewed & (here != there)
    more = (here > there) == larger_gets_less
    lower, higher = (case, again)
    gets_more: Flags = np.where(
        more,
        (lower.after > higher.after) | (lower.total > higher.total),
        (higher.after > lower.after) | (higher.total > lower.total),
    )
    return compared, compared & gets_more


def _riskier(case: Case) -> Verdict:
    return _ordered(case, "default_probability", "other_probability", larger_gets_less=True)


def _later(case: Case) -> Verdict:
    return _ordered(case, "months_delinquent", "other_months", larger_gets_less=True)


def _poorer(case: Case) -> Verdict:
    return _ordered(case, "income_minor", "other_income_minor", larger_gets_less=False)


def _elsewhere(case: Case) -> Verdict:
    return _ordered(case, "other_exposure_minor", "other_elsewhere_minor", larger_gets_less=True)


def _sounder(case: Case) -> Verdict:
    return _ordered(case, "altman_z", "other_altman_z", larger_gets_less=False)


def _affordability_spares(case: Case) -> Verdict:
    rule = case.policy.affordability
    if rule is None or rule.applies_to == "all":
        return _nothing(case)
    rich = case.given(income_minor=np.full(len(case.before), 10**13))
    compared = ~case.is_reviewed & ~rich.is_reviewed
    kept, kept_rich = (np.minimum(each.after, each.before) for each in (case, rich))
    return compared, compared & (kept < kept_rich)


def _freeze_spares(case: Case) -> Verdict:
    if case.moment.freeze is not Freeze.NOTHING:
        return _nothing(case)
    frozen = case.under(freeze=Freeze.RAISES)
    wanted = np.minimum(case.after, case.before)
    return ~case.is_reviewed, ~case.is_reviewed & (frozen.after != wanted)


def _turned(case: Case, regime: Regime) -> Case | None:
    dials = dict(case.policy.macro) if case.policy.macro else {}
    if case.moment.climate.regime is not Regime.NEUTRAL or dials.get(regime.value) is None:
        return None
    index = case.moment.climate.demand_index
    return case.under(climate=Climate(regime=regime, demand_index=index))


def _downturn(case: Case) -> Verdict:
    turned = _turned(case, Regime.DOWNTURN)
    if turned is None:
        return _nothing(case)
    more = (turned.after > case.after) | (turned.total > case.total)
    return ~case.is_reviewed, ~case.is_reviewed & more


def _boom(case: Case) -> Verdict:
    turned = _turned(case, Regime.BOOM)
    if turned is None:
        return _nothing(case)
    less = (turned.after < case.after) | (turned.total < case.total)
    return ~case.is_reviewed, ~case.is_reviewed & less


def _season_apart(case: Case) -> Verdict:
    if not case.policy.seasons:
        return _nothing(case)
    ordinary = case.ruled_by(case.policy.model_copy(update={"seasons": ()}))
    return case.uplift > 0, case.after != ordinary.after


def _trial(case: Case) -> Verdict:
    if not case.has("arm"):
        return _nothing(case)
    explores: Flags = (case["arm"] == "explore") & ~case.is_reviewed
    words = np.full(len(case.before), "policy", dtype=object)
    usual = case.given(arm=words)
    return explores, explores & (case.after < usual.after)


def _band_near(case: Case) -> Verdict:
    if not case.has("previous_band"):
        return _nothing(case)
    fresh = case.given(previous_band=np.full(len(case.before), None, dtype=object))
    decided = ~case.is_reviewed & ~fresh.is_reviewed
    far = np.abs(_places(case) - _places(fresh)) > 1
    return decided, decided & far


def _places(case: Case) -> Integers:
    names = list(case.policy.bands.names)
    lookup = {name: place for place, name in enumerate(names)} | {None: 0}
    found: Integers = np.array([lookup[name] for name in case.decided["band"]], dtype=np.int64)
    return found


def _alone(case: Case) -> Verdict:
    turned = np.arange(len(case.before))[::-1]
    again = Case.of(case.policy, case.moment, case.batch.take(turned), case.decide)
    differs = (again.after[turned] != case.after) | (again.uplift[turned] != case.uplift)
    return np.ones(len(case.before), np.bool_), differs


PAIR_LAWS: tuple[Law, ...] = (
    Law("riskier_gets_no_more", Text("More risk never gets more", "风险越高额度不增"), _riskier),
    Law("later_gets_no_more", Text("More arrears never get more", "逾期越久额度不增"), _later),
    Law("poorer_gets_no_more", Text("Less income never gets more", "收入越低额度不增"), _poorer),
    Law(
        "elsewhere_gets_no_more",
        Text("More limits elsewhere never get more", "他行授信越多额度不增"),
        _elsewhere,
    ),
    Law(
        "sounder_gets_no_less",
        Text("A sounder business never gets less", "财务越稳健额度不减"),
        _sounder,
    ),
    Law(
        "affordability_cuts_nobody",
        Text("Affordability withholds raises and cuts nobody", "负担能力规则只限提额"),
        _affordability_spares,
    ),
    Law("freeze_cuts_nobody", Text("A freeze cuts nobody", "冻结不导致降额"), _freeze_spares),
    Law(
        "downturn_is_tighter",
        Text("A downturn is never looser", "下行期不得更宽松"),
        _downturn,
    ),
    Law("boom_is_looser", Text("A boom is never tighter", "上行期不得更收紧"), _boom),
    Law(
        "uplift_stays_apart",
        Text("A season never changes the permanent limit", "临时额度不计入固定额度"),
        _season_apart,
    ),
    Law("trial_harms_nobody", Text("A trial lowers nobody's limit", "试点不降低额度"), _trial),
    Law(
        "band_is_near",
        Text("Hysteresis holds a band back by one at most", "迟滞最多保留一级"),
        _band_near,
    ),
    Law(
        "company_does_not_matter",
        Text("A decision does not depend on who else is decided", "决策与同批客户无关"),
        _alone,
    ),
)
