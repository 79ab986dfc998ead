"""History: what earlier vintages of the decision log know about a customer.

A cool-down, a kept band and a jump of the risk ask what was decided before. The log knows that, so
it answers. Which vintages were read, each with its digest, is part of the new vintage's identity: a
replay reads exactly the same history or refuses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from decisions import inputs
from decisions.decision_log import MANIFEST, DecisionLog
from decisions.engine import Action
from decisions.features import FeatureSpec
from decisions.policy import LimitPolicy
from decisions.scoring import DEFAULT_PROBABILITY
from governance import canonical
from governance.errors import ContractError, IntegrityError
from privacy.feature_table import PSEUDONYM
from privacy.keyring import Keyring
from privacy.pseudonym import PSEUDONYM_TYPE

_VINTAGE = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
_NEVER = -1
_SINCE = {Action.RAISE: "months_since_raise", Action.CUT: "months_since_cut"}
_READ = [PSEUDONYM, DEFAULT_PROBABILITY, "action", "band"]


def comparability(spec: FeatureSpec, policy: LimitPolicy) -> dict[str, Any]:
    """Return what two vintages must share for a band, or a probability, to mean the same."""
    return {
        "bands_digest": canonical.digest(policy.bands),
        "horizon_months": spec.horizon_months,
    }


def survey(
    decisions: Path, as_of: date, policy: LimitPolicy, *, keyring: Keyring
) -> dict[str, Any]:
    """Return which earlier vintages a decision on `as_of` reads.

    They reach back as far as the longest cool-down of the policy asks, and one month at least.

    Returns
    -------
    dict
        ``vintages``: name and digest, oldest first; ``gaps``: months between the first of them and
        `as_of` that have no vintage.

    Raises
    ------
    IntegrityError
        If one of them was altered.
    """
    now = _month(as_of.strftime("%Y-%m"))
    reach = max(policy.cool_down.raise_months, policy.cool_down.cut_months, 1)
    names = [name for name in _vintages(decisions) if now - reach <= _month(name) < now]
    held = {_month(name) for name in names}
    gaps = [_name(month) for month in range(min(held, default=now), now) if month not in held]
    found = [{"vintage": name, "digest": _open(decisions / name, keyring).digest} for name in names]
    return {"vintages": found, "gaps": gaps}


def require_order(decisions: Path, as_of: date) -> None:
    """Refuse to decide a month after a later one was decided.

    Raises
    ------
    ContractError
        Naming the later vintages: they did not know of what would be decided now.
    """
    vintage = as_of.strftime("%Y-%m")
    later = [name for name in _vintages(decisions) if name > vintage]
    if later:
        raise ContractError(
            f"The vintage {vintage} cannot be decided after {', '.join(later)}: those decisions "
            "did not know of it, so cool-downs would not hold. Decide months in their order."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What the log knows, about 40 bytes per customer however many vintages were read.

    Parameters
    ----------
    now : int
        The month of the decision, counted from year 0.
    customers : array of bytes
        Pseudonyms, ascending, ``(n_customers,)``; so are the arrays that follow.
    first_seen : array of int
        Month of the first vintage that decided them.
    last : mapping of Action to array of int
        Month of the last raise and the last cut; -1 if the vintages hold none.
    band, probability : array
        Of the newest vintage that has one and is comparable; -1 or NaN if none is.
    """

    now: int
    customers: npt.NDArray[np.bytes_]
    first_seen: npt.NDArray[np.int32]
    last: Mapping[Action, npt.NDArray[np.int32]]
    band: npt.NDArray[np.int16]
    probability: npt.NDArray[np.float64]

    @classmethod
    def nothing(cls) -> History:
        """Return the history of a lender that has decided nothing yet."""
        return cls._blank(0, np.zeros(0, "S16"))

    @classmethod
    def _blank(cls, now: int, customers: npt.NDArray[np.bytes_]) -> History:
        n = len(customers)
        return cls(
            now=now,
            customers=customers,
            first_seen=np.full(n, _NEVER, np.int32),
            last={action: np.full(n, _NEVER, np.int32) for action in _SINCE},
            band=np.full(n, -1, np.int16),
            probability=np.full(n, np.nan),
        )

    @classmethod
    def read(
        cls, decisions: Path, identity: Mapping[str, Any], policy: LimitPolicy, *, keyring: Keyring
    ) -> History:
        """Read the vintages that `identity` names, oldest first, batch by batch.

        Parameters
        ----------
        identity : mapping
            That of the vintage which asks.

        Raises
        ------
        IntegrityError
            If a vintage is missing, was altered, or is another than the one that was named.
        """
        logs = [_pinned(decisions, item, keyring) for item in identity["history"]["vintages"]]
        customers = np.zeros(0, "S16")
        for log in logs:
            batches = [_pseudonyms(batch) for batch in log.reader([PSEUDONYM])]
            customers = np.unique(np.concatenate([customers, *batches]))
        found = cls._blank(_month(identity["vintage"]), customers)
        for log in logs:
            found._note(log, identity, policy)
        return found

    def applied(self, scored: pa.Table, policy: LimitPolicy) -> pa.Table:
        """Return `scored` with the inputs that the log knows.

        A raise or cut of the log and one that the table states count alike: the more recent one
        holds. If neither knows of one, the months that the log has known the customer stand for
        "at least so long"; a customer whom the log does not know keeps what the table says, and
        null where it says nothing. Previous band and probability are the log's, where it has them.
        """
        asked = _pseudonyms(scored.column(PSEUDONYM))
        place = np.searchsorted(self.customers, asked)
        place[place == len(self.customers)] = 0
        is_known = np.zeros(len(asked), np.bool_)
        if len(self.customers):
            is_known = self.customers[place] == asked
        for action, name in _SINCE.items():
            scored = _with(scored, name, self._since(action, place, is_known, scored[name]))
        types = inputs.needed(policy)
        if "previous_band" in types:
            words = pa.array(policy.bands.names, pa.string())
            code = self._taken(self.band, place, is_known, -1)
            logged = words.take(pa.array(code, mask=code < 0))
            scored = _with(scored, "previous_band", _else(logged, scored, "previous_band"))
        if "previous_probability" in types:
            risk = self._taken(self.probability, place, is_known, np.nan)
            logged = pa.array(risk, mask=np.isnan(risk))
            held = _else(logged, scored, "previous_probability")
            scored = _with(scored, "previous_probability", held)
        return scored

    def _since(
        self, action: Action, place: Any, is_known: Any, stated: pa.ChunkedArray
    ) -> pa.ChunkedArray:
        month = self._taken(self.last[action], place, is_known, _NEVER)
        logged = pa.array((self.now - month).astype(np.int64), mask=month == _NEVER)
        first = self._taken(self.first_seen, place, is_known, _NEVER)
        at_least = pa.array((self.now - first).astype(np.int64), mask=first == _NEVER)
        return pc.coalesce(pc.min_element_wise(stated, logged, skip_nulls=True), at_least)

    def _taken(self, values: Any, place: Any, is_known: Any, otherwise: Any) -> Any:
        if not len(values):
            return np.full(len(place), otherwise, values.dtype)
        return np.where(is_known, values[place], otherwise).astype(values.dtype)

    def _note(self, log: DecisionLog, asks: Mapping[str, Any], policy: LimitPolicy) -> None:
        month, theirs = _month(log.identity["vintage"]), log.identity
        has_bands = asks["bands_digest"] == theirs["bands_digest"]
        has_risk = asks["horizon_months"] == theirs["horizon_months"]
        words = pa.array(policy.bands.names, pa.string())
        for batch in log.reader(_READ):
            place = np.searchsorted(self.customers, _pseudonyms(batch))
            fresh = place[self.first_seen[place] == _NEVER]
            self.first_seen[fresh] = month
            for action, last in self.last.items():
                last[place[np.asarray(pc.equal(batch["action"], action.value))]] = month
            if has_bands:
                code = pc.fill_null(pc.index_in(batch["band"], value_set=words), -1)
                codes = np.asarray(code)
                self.band[place[codes >= 0]] = codes[codes >= 0]
            if has_risk:
                risk = np.asarray(pc.fill_null(batch[DEFAULT_PROBABILITY], np.nan))
                is_there = ~np.isnan(risk)
                self.probability[place[is_there]] = risk[is_there]


def _with(table: pa.Table, name: str, values: Any) -> pa.Table:
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, values)
    return table.append_column(name, values)


def _else(logged: pa.Array, table: pa.Table, name: str) -> Any:
    return pc.coalesce(logged, table[name]) if name in table.column_names else logged


def _pseudonyms(source: pa.RecordBatch | pa.ChunkedArray) -> npt.NDArray[np.bytes_]:
    """Return pseudonyms as fixed-width bytes, which numpy sorts and searches."""
    column = source[PSEUDONYM] if isinstance(source, pa.RecordBatch) else source.combine_chunks()
    if not len(column):
        return np.zeros(0, "S16")
    # The SQL engine gives bytes of any length back.
    column = column.cast(PSEUDONYM_TYPE)
    start = column.offset * 16
    content = memoryview(column.buffers()[1])[start : start + len(column) * 16]
    return np.frombuffer(content, "S16")


def _pinned(decisions: Path, named: Mapping[str, str], keyring: Keyring) -> DecisionLog:
    log = _open(decisions / named["vintage"], keyring)
    if log.digest != named["digest"]:
        raise IntegrityError(
            f"The vintage {named['vintage']} is not the one that this decision's history names. "
            "Restore the decision log from a backup."
        )
    return log


def _open(folder: Path, keyring: Keyring) -> DecisionLog:
    if not (folder / MANIFEST).is_file():
        raise IntegrityError(
            f"The vintage {folder.name} is part of a history and is missing or has no manifest. "
            "Restore the decision log from a backup."
        )
    return DecisionLog.open(folder, keyring=keyring)


def _vintages(decisions: Path) -> Sequence[str]:
    if not decisions.is_dir():
        return []
    folders = (item.name for item in decisions.iterdir() if item.is_dir())
    return sorted(name for name in folders if _VINTAGE.fullmatch(name))


def _month(vintage: str) -> int:
    year, month = vintage.split("-")
    return int(year) * 12 + int(month) - 1


def _name(month: int) -> str:
    return f"{month // 12:04d}-{month % 12 + 1:02d}"
