"""Counted pairs: two models' decisions by protected group, asked of the audit vault as counts.

The vault withholds small cells, and cells that would give them away. How many customers of a group
two models treat differently is often such a cell; how many they treat differently in all is known
without asking the vault. What is not shown then lies between two bounds, and both are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from governance.counts import Counts
from governance.measurement import Measurement
from monitoring.decisions import ACTION, Asking
from monitoring.fairness import audit
from monitoring.misjudgment import CUT, RAISED
from monitoring.paired_fairness import Pair
from privacy.audit_vault import UNKNOWN
from privacy.feature_table import PSEUDONYM

EVENTS: Mapping[str, tuple[str, ...]] = {
    "approve": (*RAISED, "hold"),
    "raise": RAISED,
    "cut": CUT,
}
_VERSION, _ALTERNATIVE, _YES, _NO = "version", "alternative", "yes", "no"


def by_action(asking: Asking, decided: pa.Table) -> dict[str, Counts]:
    """Count one model's decisions by group and kind; cut includes refused."""
    action = decided[ACTION]
    coarse = pc.if_else(pc.is_in(action, value_set=pa.array(CUT)), CUT[0], action)
    return asking.count(pa.table({PSEUDONYM: decided[PSEUDONYM], ACTION: coarse}), [ACTION])


def measure_ratios(
    counted: Mapping[str, Counts], references: Mapping[str, str], *, model: str
) -> tuple[Measurement, ...]:
    """Return the adverse impact ratio of every group and event, with ``alternative`` in its scope.

    As `monitoring.fairness.audit`; the rates behind a ratio stand in its reason.
    """
    return tuple(
        found.model_copy(update={"scope": {**found.scope, _ALTERNATIVE: model}})
        for attribute, counts in counted.items()
        for found in audit(
            counts,
            attribute=attribute,
            reference_group=references[attribute],
            columns=tuple(EVENTS),
        )
        if found.unit == "ratio"
    )


def count_pairs(
    asking: Asking,
    tables: tuple[pa.Table, pa.Table],
    counted: tuple[Mapping[str, Counts], Mapping[str, Counts]],
) -> dict[tuple[str, str], tuple[Pair, ...]]:
    """Return the pairs of every attribute and event.

    Parameters
    ----------
    tables : tuple of pyarrow.Table
        The decisions of the version and of the alternative, row by row the same customers.
    counted : tuple of mapping
        What `by_action` returned for each.
    """
    found: dict[tuple[str, str], tuple[Pair, ...]] = {}
    for of, events in EVENTS.items():
        does = [pc.is_in(table[ACTION], value_set=pa.array(events)) for table in tables]
        flags = [pc.if_else(one, _YES, _NO) for one in does]
        asked = pa.table(
            {PSEUDONYM: tables[0][PSEUDONYM], _VERSION: flags[0], _ALTERNATIVE: flags[1]}
        )
        # Of all customers together, no protected group is in this, so no vault is asked.
        differ = (
            pc.sum(pc.and_(does[0], pc.invert(does[1])), min_count=0).as_py(),
            pc.sum(pc.and_(does[1], pc.invert(does[0])), min_count=0).as_py(),
        )
        for attribute, joint in asking.count(asked, [_VERSION, _ALTERNATIVE]).items():
            margins = (counted[0][attribute], counted[1][attribute])
            found[attribute, of] = _pairs(joint, margins, events, differ)
    return found


def _pairs(
    joint: Counts, margins: tuple[Counts, Counts], events: tuple[str, ...], differ: tuple[int, int]
) -> tuple[Pair, ...]:
    groups = [str(group) for group in joint.values("group")]
    only = {
        group: tuple(
            joint.where(group=group, version=one, alternative=other).total()
            for one, other in ((_YES, _NO), (_NO, _YES))
        )
        for group in groups
    }
    # What all groups together hold and the shown ones do not is the most that a hidden one can.
    hidden = [
        all_of_them - sum(pair[side] or 0 for pair in only.values())
        for side, all_of_them in enumerate(differ)
    ]
    pairs = []
    # A customer whose group is not known is of no group that could be treated unequally.
    for group in (name for name in groups if name != UNKNOWN):
        n, version = (
            margins[0].where(group=group).total(),
            margins[0].where(group=group, action=events).total(),
        )
        alternative = margins[1].where(group=group, action=events).total()
        if n == 0:
            continue
        pair = Pair(group=group, n=n, version=version, alternative=alternative)
        pairs.append(_bounded(pair, only[group][1], hidden))
    return tuple(pairs)


def _bounded(pair: Pair, shown: int | None, hidden: Sequence[int]) -> Pair:
    """Return the pair with the fewest and the most that only the alternative can have."""
    if pair.n is None or pair.version is None or pair.alternative is None:
        return pair
    more = pair.version - pair.alternative
    fewest, most = max(0, -more), min(pair.alternative, pair.n - pair.version)
    most = max(fewest, min(most, hidden[1], hidden[0] - more))
    if shown is not None:
        fewest = most = shown
    return Pair(
        group=pair.group,
        n=pair.n,
        version=pair.version,
        alternative=pair.alternative,
        fewest=fewest,
        most=most,
    )
