"""The limit policy: how a risk becomes a limit, as one reviewed file with a digest.

A small policy is a small file: every section after the caps may be left out, and then neither its
rule nor its inputs exist. What is there is checked when it is read, and its laws are searched for
counterexamples by ``limitline policy check``.
"""

from __future__ import annotations

import importlib.resources
import itertools
from collections.abc import Mapping
from datetime import date
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from decisions.sections import (
    BASIS_POINTS,
    Affordability,
    Automation,
    Bands,
    Business,
    Cap,
    Ceiling,
    CoolDown,
    Currency,
    EarlyWarning,
    Envelope,
    Experiment,
    Macro,
    OverIndebtedness,
    RaiseConditions,
    Season,
    Share,
    Span,
    Step,
    Supervision,
    UtilizationClasses,
    refuse_unclear,
    refuse_unclear_caps,
)
from governance import canonical
from governance.declaration import Declaration
from governance.errors import ContractError

__all__ = ["BASIS_POINTS", "LimitPolicy", "packaged"]


class LimitPolicy(Declaration):
    """One version of the rules by which limits move; every decision carries its digest."""

    called: ClassVar[str] = "limit policy"

    schema_: Literal["limit-policy/2"] = Field(alias="schema")
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    version: str
    title: str
    currency: Currency
    effective_from: date
    effective_to: date | None = None
    rounding_minor: int = Field(gt=0)
    minimum_limit_minor: int = Field(ge=0)
    bands: Bands
    utilization: UtilizationClasses
    matrix: Mapping[str, tuple[Share, ...]]
    step: Step
    cool_down: CoolDown
    early_warning: EarlyWarning
    caps: tuple[Cap, ...] = Field(min_length=1)
    ceilings: tuple[Ceiling, ...] = ()
    affordability: Affordability | None = None
    over_indebtedness: OverIndebtedness | None = None
    macro: Macro | None = None
    seasons: tuple[Season, ...] = ()
    business: Business | None = None
    raise_conditions: RaiseConditions | None = None
    automation: Automation | None = None
    experiment: Experiment | None = None
    supervision: Supervision | None = None
    envelope: Envelope | None = None

    @model_validator(mode="after")
    def _is_coherent(self) -> LimitPolicy:
        if self.effective_to is not None and self.effective_to < self.effective_from:
            raise ValueError("the policy ends before it begins")
        if set(self.matrix) != set(self.bands.names):
            raise ValueError("the matrix must have exactly one row for each band")
        columns = len(self.utilization.upper) + 1
        if any(len(row) != columns for row in self.matrix.values()):
            raise ValueError(f"each matrix row needs {columns} multipliers, one per class")
        for better, worse in itertools.pairwise(self.bands.names):
            pairs = zip(self.matrix[better], self.matrix[worse], strict=True)
            if any(high_risk > low_risk for low_risk, high_risk in pairs):
                raise ValueError(
                    f"band {worse} is worse than {better} but gets a larger multiplier"
                )
        refuse_unclear_caps(self.caps)
        refuse_unclear(self.ceilings, "the aggregate ceiling")
        self._refuse_unknown_names()
        self._refuse_clashing_seasons()
        if self.envelope is not None:
            self._refuse_unclear_spans(self.envelope.bands)
        return self

    def _refuse_unclear_spans(self, spans: Mapping[str, Span]) -> None:
        """Refuse an envelope that the matrix, the step or the order of the bands contradicts."""
        if set(spans) != set(self.bands.names):
            raise ValueError("the envelope must have exactly one span for each band")
        lowest, highest = BASIS_POINTS - self.step.max_cut, BASIS_POINTS + self.step.max_raise
        for band, span in spans.items():
            if span.least < lowest or span.most > highest:
                raise ValueError(f"the envelope of band {band} reaches beyond one step")
            row = [min(max(points, lowest), highest) for points in self.matrix[band]]
            if not span.least <= min(row) <= max(row) <= span.most:
                raise ValueError(f"the envelope of band {band} leaves out its matrix row")
            if not span.least <= BASIS_POINTS <= span.most:
                raise ValueError(f"the envelope of band {band} leaves out no change")
        for better, worse in itertools.pairwise(self.bands.names):
            good, bad = spans[better], spans[worse]
            if bad.least > good.least or bad.most > good.most:
                raise ValueError(f"band {worse} is worse than {better} but its envelope is higher")

    def _refuse_unknown_names(self) -> None:
        """Refuse a mention of a band or segment that does not exist: most likely a typing error."""
        mentioned = [band for season in self.seasons for band in season.bands]
        mentioned += self.experiment.bands if self.experiment else ()
        for dial in (self.macro.downturn, self.macro.boom) if self.macro else ():
            mentioned += dial.raise_bands or () if dial else ()
        if set(mentioned) - set(self.bands.names):
            raise ValueError("a season, dial or experiment names a band that does not exist")
        if self.business:
            firms = {*self.business.legal_persons, *self.business.sole_traders}
            if firms - {cap.segment for cap in self.caps}:
                raise ValueError("the business rules name a segment that has no cap")

    def _refuse_clashing_seasons(self) -> None:
        ordered = sorted(self.seasons, key=lambda season: season.starts_on)
        for earlier, later in itertools.pairwise(ordered):
            if earlier.ends_on >= later.starts_on:
                raise ValueError(
                    f"the seasons {earlier.name} and {later.name} hold on the same day"
                )

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form: two files that say the same have the same digest.

        The envelope is younger than the schema. A file without one keeps the digest that it had
        when it was approved, so that its decisions are still recognized.
        """
        said = canonical.plain(self)
        if self.envelope is None:
            del said["envelope"]
        return canonical.digest(said)

    @property
    def stamp(self) -> str:
        """What every decision row carries: ``id@version#digest``."""
        return f"{self.id}@{self.version}#{self.digest[:16]}"

    def caps_on(self, as_of: date) -> dict[str, int]:
        """Return segment to its lowest cap over all products, in minor units, on `as_of`."""
        found: dict[str, int] = {}
        for cap in self.caps:
            if cap.holds_on(as_of):
                found[cap.segment] = min(cap.cap_minor, found.get(cap.segment, cap.cap_minor))
        return found

    def season_on(self, as_of: date) -> Season | None:
        """Return the season within whose days `as_of` falls."""
        running = (s for s in self.seasons if s.starts_on <= as_of <= s.ends_on)
        return next(running, None)

    def require_in_force(self, as_of: date) -> None:
        """Refuse a day on which this policy does not hold.

        Raises
        ------
        ContractError
            If `as_of` lies outside the policy's dates.
        """
        ended = self.effective_to is not None and as_of > self.effective_to
        if as_of < self.effective_from or ended:
            raise ContractError(
                f"The limit policy {self.id} {self.version} is not in force on {as_of}; it holds "
                f"from {self.effective_from} to {self.effective_to or 'further notice'}."
            )


def packaged(name: str) -> str:
    """Return the text of a limit policy that ships with the product."""
    place = importlib.resources.files("decisions") / "policies" / f"{name}.toml"
    if not place.is_file():
        raise ContractError(f"No limit policy named {name} ships with Limitline.")
    return place.read_text(encoding="utf-8")
