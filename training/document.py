"""Documents: model card and technical file, written from the facts of a candidate and nothing else.

The technical file follows the nine points of Annex IV of Regulation (EU) 2024/1689. Both exist in
English and Chinese; every number in them stands in the signed model folder. What a lender declared
(features, reasons, policy) is repeated in the language it was declared in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from decisions.features import FeatureSpec
from decisions.policy import BASIS_POINTS, LimitPolicy
from governance import durable
from governance.outcome import Outcome
from registry import traceability
from training import suspicion, terms
from training.wording import (
    ANNEX,
    ELSEWHERE,
    LIMITS_OF_USE,
    NOT_EVIDENCED,
    UNSTATED,
    WORDS,
    Language,
)

FOLDER = "documents"

Lines = Iterator[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the documents are written from.

    Parameters
    ----------
    metadata : mapping
        What ``limitline.json`` in the model folder says: lineage, evaluation, calibration.
    observed : mapping
        What was seen in the run and is signed in the manifest, outside the folder; empty for a
        version from before that was kept.
    """

    spec: FeatureSpec
    policy: LimitPolicy
    metadata: Mapping[str, Any]
    observed: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return one fact as text."""
        return str(self.metadata.get(name, "not recorded"))


def write(folder: Path, facts: Facts) -> Path:
    """Write the four documents into `folder` and return it; the same facts give the same bytes."""
    durable.make_folder(folder)
    for name, make in _DOCUMENTS.items():
        for language in Language:
            text = "\n".join(make(facts, language)) + "\n"
            durable.write_bytes(folder / f"{name}.{language}.md", text.encode())
    return folder


def model_card(facts: Facts, language: Language) -> Lines:
    """Yield the model card."""
    yield from _title("model_card", facts, language)
    for heading, part in (
        ("use", _use),
        ("limits_of_use", _limits),
        ("data", _data),
        ("features", _features),
        ("policy", _policy),
        ("evaluation", _evaluation),
        ("breakdown", _breakdown),
        ("reasons", _reasons),
        ("missing", _missing),
        ("digests", _digests),
    ):
        yield from ("", f"## {WORDS[heading][language]}", "")
        yield from part(facts, language)


def technical_file(facts: Facts, language: Language) -> Lines:
    """Yield the technical file, point by point of Annex IV, with the traceability list."""
    parts: Mapping[str, tuple[Callable[[Facts, Language], Lines], ...]] = {
        "use": (_use, _digests),
        "development": (_data, _features, _formulas, _recipe),
        "control": (_limits, _policy, _reasons, _reference, _missing),
        "metrics": (_evaluation, _breakdown),
    }
    fixed = {"elsewhere": ELSEWHERE, "unstated": UNSTATED}
    yield from _title("technical_file", facts, language)
    for heading, content in ANNEX:
        yield from ("", f"## {heading[language]}")
        if content in fixed:
            yield from ("", fixed[content][language])
        for part in parts.get(content, ()):
            yield ""
            yield from part(facts, language)
    yield from ("", f"## {WORDS['traceability'][language]}", "")
    yield from _table(WORDS["trace_head"][language], _traces(facts, language))


_DOCUMENTS: Mapping[str, Callable[[Facts, Language], Lines]] = {
    "model_card": model_card,
    "technical_file": technical_file,
}


def _title(name: str, facts: Facts, language: Language) -> Lines:
    recipe = facts.text("recipe_title")
    if language is Language.ZH:
        recipe = terms.RECIPES.get(facts.text("recipe"), recipe)
    yield f"# {WORDS[name][language]}: {_cell(facts.spec.title)}, {recipe}"
    yield from ("", WORDS["origin"][language])


def _use(facts: Facts, language: Language) -> Lines:
    yield WORDS["purpose"][language]
    yield ""
    names = ("horizon_months", "target", "features_id", "policy_id", "recipe")
    yield from _listed(facts, names, language)


def _limits(facts: Facts, language: Language) -> Lines:
    yield from (f"- {line[language]}" for line in LIMITS_OF_USE)
    if facts.spec.does_read_current_limit:
        yield f"- {WORDS['reads_limit'][language]}"


def _data(facts: Facts, language: Language) -> Lines:
    names = sorted(n for n in facts.metadata if n.startswith(("data_", "labels_", "label_")))
    yield from _listed(facts, (*names, "vintage", "segment", "allowances"), language)


def _features(facts: Facts, language: Language) -> Lines:
    direction = {1: "raises", -1: "lowers", 0: "free"}
    rows = (
        (
            *(f.name, WORDS[direction[f.sign]][language], f.reason_group, ", ".join(f.sources)),
            *(_protected((f.name, *f.sources), language), f.why),
        )
        for f in facts.spec.features
    )
    yield from _table(WORDS["feature_head"][language], rows)
    yield from ("", WORDS["no_protected"][language])


def _protected(names: Sequence[str], language: Language) -> str:
    """Say whether a feature is named like, or reads what is named like, a protected attribute."""
    is_named_like_one = any(suspicion.is_protected(name) for name in names)
    return WORDS["protected_name" if is_named_like_one else "protected_not"][language]


def _formulas(facts: Facts, language: Language) -> Lines:
    yield WORDS["formulas"][language]
    yield ""
    for feature in facts.spec.features:
        # A backtick would end the span in which the formula stands as it was declared.
        sql = " ".join(feature.sql.split()).replace("`", "'")
        yield f"- {_cell(feature.name)}: `{sql}`"


def _policy(facts: Facts, language: Language) -> Lines:
    policy = facts.policy
    yield f"- {_cell(policy.title)} (`{policy.stamp}`)"
    yield "- " + WORDS["bands"][language].format(
        names=", ".join(policy.bands.names),
        edges=", ".join(f"{edge:g}" for edge in policy.bands.upper),
    )
    yield "- " + WORDS["step"][language].format(
        most=policy.step.max_raise / BASIS_POINTS, least=policy.step.max_cut / BASIS_POINTS
    )
    for cap in policy.caps:
        yield "- " + WORDS["cap"][language].format(
            segment=cap.segment,
            minor=cap.cap_minor,
            currency=policy.currency,
            day=cap.effective_from,
            source=f"{cap.kind}: {_cell(cap.source)}",
        )


def _recipe(facts: Facts, language: Language) -> Lines:
    names = ("recipe_title", "recipe_parameters", "seed", "iterations")
    yield from _listed(facts, names, language)
    yield f"- {_calibration(facts, language)}"


def _evaluation(facts: Facts, language: Language) -> Lines:
    # Versions that were made before directions were asked for have no such fact.
    directions = facts.metadata.get("evaluation_directions")
    asked = [] if directions is None else [directions]
    yield from _measured([*facts.metadata["evaluation"], *asked], language)
    if directions is not None:
        yield from ("", WORDS["directions"][language])
    yield from ("", _calibration(facts, language))


def _calibration(facts: Facts, language: Language) -> str:
    said = _cell(facts.text("calibration"))
    if language is Language.EN:
        return said
    is_fitted = facts.metadata.get("is_sigmoid_fitted")
    told = "sigmoid_fitted" if is_fitted else "sigmoid_none"
    return f"{WORDS[told][language]}`{said}`"


def _breakdown(facts: Facts, language: Language) -> Lines:
    found = facts.metadata.get("evaluation_breakdown", [])
    if not found:
        yield WORDS["none"][language]
        return
    yield from _measured(found, language)


def _reasons(facts: Facts, language: Language) -> Lines:
    told = facts.metadata.get("explanation")
    if told is None:
        yield WORDS["not_recorded"][language]
        return
    if told["outcome"] != Outcome.PASS:
        yield WORDS["method_none"][language] + _cell(f"{told['outcome']}. {told['reason']}")
        return
    yield f"- {WORDS['method_ablation'][language]}"
    yield f"- {WORDS['method_rules'][language]}"
    yield f"- {WORDS['method_reference'][language]}{told['reference_n']}"
    yield ""
    rows = [(group, text["en"], text["zh"]) for group, text in told["groups"].items()]
    yield from _table(WORDS["reason_head"][language], rows)
    yield ""
    yield from _measured(told["measures"], language)
    if told["levers"]:
        yield from ("", WORDS["changeable"][language], "")
        yield from (f"- {_cell(lever[language.value])}" for lever in told["levers"])


def _reference(facts: Facts, language: Language) -> Lines:
    reference = facts.metadata.get("explanation", {}).get("reference", {})
    if reference:
        rows = [(name, f"{float(value):g}") for name, value in reference.items()]
        yield from _table(WORDS["reference_head"][language], rows)


def _missing(facts: Facts, language: Language) -> Lines:
    yield from (f"- {line[language]}" for line in NOT_EVIDENCED)
    for item in facts.metadata.get("evaluation_breakdown", []):
        if item["outcome"] == "INCONCLUSIVE":
            yield f"- {item['measure']} ({_scope(item, language)}): {_cell(item['reason'])}"


def _digests(facts: Facts, language: Language) -> Lines:
    names = sorted(name for name in facts.metadata if name.endswith("_digest"))
    yield from _listed(facts, names, language)


def _traces(facts: Facts, language: Language) -> Iterator[Sequence[str]]:
    sources = {"limitline.json": facts.metadata, traceability.OBSERVED: facts.observed}
    is_english = language is Language.EN
    absent = traceability.NOT_RECORDED if is_english else traceability.NOT_RECORDED_ZH
    before = ""
    for answer in traceability.trace(traceability.MODELING, sources):
        asked = answer.item.asked if is_english else answer.item.asked_zh
        value = absent if answer.value is None else answer.value
        place = "" if answer.value is None else answer.where
        name = answer.name if is_english else terms.fact(answer.name)
        yield "" if asked == before else asked, name, place, value
        before = asked


def _measured(found: Sequence[Mapping[str, Any]], language: Language) -> Lines:
    rows = []
    for item in found:
        digits = 0 if item["unit"] == "count" else 4
        value, low, high = (
            WORDS["undefined"][language]
            if item[name] is None
            else f"{float(item[name]):.{digits}f}"
            for name in ("value", "low", "high")
        )
        is_exact = item["unit"] == "count" and item["low"] is None and item["high"] is None
        interval = WORDS["none"][language] if is_exact else f"{low} – {high}"
        scope = _scope(item, language)
        name = item["measure"] if language is Language.EN else terms.measure(item["measure"])
        rows.append((name, scope, value, interval, str(item["n"]), item["outcome"]))
    yield from _table(WORDS["measure_head"][language], rows)


def _scope(item: Mapping[str, Any], language: Language) -> str:
    told = ", ".join(f"{name}={value}" for name, value in sorted(item["scope"].items()))
    return told or WORDS["whole"][language]


def _listed(facts: Facts, names: Sequence[str], language: Language) -> Lines:
    for name in names:
        told = name if language is Language.EN else terms.fact(name)
        yield f"- {told}: `{facts.text(name)}`"


def _table(head: str, rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> Lines:
    yield head
    yield "|" + "---|" * (head.count("|") - 1)
    for row in rows:
        yield "| " + " | ".join(_cell(value) for value in row) + " |"


def _cell(text: str) -> str:
    """Keep a declared text from ending a cell, a line or the document's form."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
