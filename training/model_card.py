"""Model card and technical file, written from the facts of a candidate and nothing else.

The technical file follows the nine points of Annex IV of Regulation (EU) 2024/1689. Both exist in
English and Chinese; every number in them stands in the signed model folder. What a lender declared
(features, reasons, policy) is repeated in the language it was declared in. The form stands in
``documents/*.j2``, the words in ``documents/texts.toml``.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from decisions.features import FeatureSpec
from decisions.policy import BASIS_POINTS, LimitPolicy
from governance import durable
from governance.outcome import Outcome
from registry import traceability
from training import data_checks

FOLDER = "documents"
LANGUAGES = ("en", "zh")
NAMES = ("model_card", "technical_file")

_DIRECTIONS = {1: "raises", -1: "lowers", 0: "free"}

Row = Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What the documents are written from.

    Parameters
    ----------
    metadata : mapping
        What ``limitline.json`` in the model folder says: lineage, evaluation, calibration.
    observed : mapping
        What was seen in the run and is signed in the manifest, outside the folder.
    """

    spec: FeatureSpec
    policy: LimitPolicy
    metadata: Mapping[str, Any]
    observed: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return one fact as text."""
        return str(self.metadata.get(name, "not recorded"))


def write(folder: Path, facts: CardFacts) -> Path:
    """Write the four documents into `folder` and return it; the same facts give the same bytes."""
    durable.make_folder(folder)
    # What is written is Markdown, whose cells `cell` guards, not HTML.
    templates = jinja2.Environment(  # noqa: S701
        loader=jinja2.PackageLoader("training", FOLDER),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["cell"] = cell
    for name in NAMES:
        for language in LANGUAGES:
            text = templates.get_template(f"{name}.md.j2").render(_View(facts, language).context())
            text = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
            durable.write_bytes(folder / f"{name}.{language}.md", text.encode())
    return folder


@functools.cache
def texts() -> Mapping[str, Any]:
    """Return the words of the documents: ``words``, ``lists`` and the Chinese terms."""
    place = files("training") / FOLDER / "texts.toml"
    return tomllib.loads(place.read_text(encoding="utf-8"))


def cell(text: str) -> str:
    """Keep a declared text from ending a cell, a line or the document's form."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


class _View:
    """The facts in the words of one language, as the templates show them."""

    def __init__(self, facts: CardFacts, language: str) -> None:
        known = texts()
        self.facts, self.language = facts, language
        self.words = {name: text[language] for name, text in known["words"].items()}
        self.lists = {name: text[language] for name, text in known["lists"].items()}

    def context(self) -> dict[str, Any]:
        """Return everything that a template names."""
        facts, metadata = self.facts, self.facts.metadata
        told = metadata["explanation"]
        data = sorted(n for n in metadata if n.startswith(("data_", "labels_", "label_")))
        breakdown = metadata["evaluation_breakdown"]
        recipes = {} if self.language == "en" else texts()["recipes"]
        return {
            "w": self.words,
            "lists": self.lists,
            "language": self.language,
            "spec": facts.spec,
            "policy": facts.policy,
            "BASIS_POINTS": BASIS_POINTS,
            "edges": ", ".join(f"{edge:g}" for edge in facts.policy.bands.upper),
            "text": facts.text,
            "fact_term": lambda name: self._term("facts", name),
            "recipe": recipes.get(facts.text("recipe"), facts.text("recipe_title")),
            "calibration": self._calibration(),
            "data_names": (*data, "vintage", "segment", "allowances"),
            "digest_names": sorted(name for name in metadata if name.endswith("_digest")),
            "feature_rows": self._features(),
            "evaluation_rows": self._measured(
                [*metadata["evaluation"], metadata["evaluation_directions"]]
            ),
            "breakdown_rows": self._measured(breakdown),
            "inconclusive": [
                f"{item['measure']} ({self._scope(item)}): {cell(item['reason'])}"
                for item in breakdown
                if item["outcome"] == Outcome.INCONCLUSIVE
            ],
            "explanation": told,
            "reason_rows": [
                (name, text["en"], text["zh"]) for name, text in told["groups"].items()
            ],
            "reason_measure_rows": self._measured(told["measures"]),
            "reference_rows": [(n, f"{float(v):g}") for n, v in told["reference"].items()],
            "trace_rows": self._traces(),
        }

    def _term(self, kind: str, name: str) -> str:
        """Return the Chinese term beside the recorded name; in English the name itself."""
        term = texts()[kind].get(name)
        return f"{term}({name})" if term and self.language == "zh" else name

    def _calibration(self) -> str:
        said = cell(self.facts.text("calibration"))
        if self.language == "en":
            return said
        is_fitted = self.facts.metadata["is_sigmoid_fitted"]
        return f"{self.words['sigmoid_fitted' if is_fitted else 'sigmoid_none']}`{said}`"

    def _features(self) -> list[Row]:
        rows: list[Row] = []
        for feature in self.facts.spec.features:
            # Whether it is named like, or reads what is named like, a protected attribute.
            is_like_one = any(map(data_checks.is_protected, (feature.name, *feature.sources)))
            rows.append(
                (
                    *(feature.name, self.words[_DIRECTIONS[feature.sign]], feature.reason_group),
                    ", ".join(feature.sources),
                    self.words["protected_name" if is_like_one else "protected_not"],
                    feature.why,
                )
            )
        return rows

    def _measured(self, found: Sequence[Mapping[str, Any]]) -> list[Row]:
        rows: list[Row] = []
        for item in found:
            digits = 0 if item["unit"] == "count" else 4
            value, low, high = (
                self.words["undefined"] if item[name] is None else f"{float(item[name]):.{digits}f}"
                for name in ("value", "low", "high")
            )
            is_exact = item["unit"] == "count" and item["low"] is None and item["high"] is None
            interval = self.words["none"] if is_exact else f"{low} – {high}"
            name = self._term("measures", item["measure"])
            rows.append((name, self._scope(item), value, interval, str(item["n"]), item["outcome"]))
        return rows

    def _scope(self, item: Mapping[str, Any]) -> str:
        told = ", ".join(f"{name}={value}" for name, value in sorted(item["scope"].items()))
        return told or self.words["whole"]

    def _traces(self) -> list[Row]:
        sources = {
            "limitline.json": self.facts.metadata,
            traceability.OBSERVED: self.facts.observed,
        }
        is_english = self.language == "en"
        absent = traceability.NOT_RECORDED if is_english else traceability.NOT_RECORDED_ZH
        rows: list[Row] = []
        before = ""
        for answer in traceability.trace(traceability.MODELING, sources):
            asked = answer.item.asked if is_english else answer.item.asked_zh
            place = "" if answer.value is None else answer.where
            value = absent if answer.value is None else answer.value
            shown = "" if asked == before else asked
            rows.append((shown, self._term("facts", answer.name), place, value))
            before = asked
        return rows
