"""The rules of the ledger: what its entries may say, given the ones before them.

``verify.py`` checks that a pack is whole and that each entry is signed by a role that may; this
file checks what the entries say together: people, manifests, appetite, evidence, decisions,
waivers, approvals, promotions, findings and freezes. Every pack carries it beside ``verify.py``,
which runs it; both need nothing but Python and `cryptography`. The registry asks the same.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

# In a pack, verify.py answers to this name.
from registry.offline import (
    APPROVERS,
    LIST,
    SIGNERS,
    Checkpoint,
    People,
    Person,
    VerificationError,
    as_person,
    digest,
    is_prefix,
    manifest_digest,
    payload_of,
    read_json,
    read_note,
    reading,
    verify_checkpoint,
    verify_entry,
)

MODEL = "credit-limit@"
"""How the subject of a statement about a model version begins; its number follows."""

POLICY_EVIDENCE: Mapping[str, tuple[str, ...]] = {
    "policy-check": ("policy.violations", "policy.broken_law"),
    "policy-impact": ("policy.impact.",),
}
"""Each kind of evidence about a version's policy, and what it may measure; the rest is the
validator's. A gate decision and its approvals bind each by its kind."""

POLICY_FILE, FEATURES_FILE = "artifacts/limit_policy.toml", "artifacts/features.toml"

WAIVER_MAX_DAYS, APPROVAL_MAX_DAYS, SHORTEST_REASON = 180, 366, 10
SEVERITIES = ("low", "medium", "severe")
DAYS = frozenset({"on", "approved_on", "expires_on", "frozen_on"})
ROLES = frozenset[str]().union(*SIGNERS.values())
# Letters that readers take for one another: capitals first, then what is left after lower case.
_CAPITALS = str.maketrans("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧАВЕЅІЈКМНОРСТУХ", "ABEZHIKMNOPTYXABESIJKMHOPCTYX")
_LETTERS = str.maketrans(
    "αγεικνορτυχагеѕікмнорстухјһԁԛԝӏօıɑɡłøđ01i|", "ayeiknoptuxaresikmhopctyxjhdqwloiaglodolll"
)
_ONE_SCRIPT = frozenset({"CJK", "HANGUL", "HIRAGANA", "KATAKANA", "BOPOMOFO"})
_INVISIBLE = "\u115f\u1160\u17b4\u17b5\u3164\uffa0"
_LATIN = re.compile(
    r"LATIN (?:SMALL|CAPITAL|LETTER SMALL CAPITAL)(?: LETTER)?(?: DOTLESS| SCRIPT| BARRED)* ([A-Z])"
    r"(?: WITH .*)?"
)
"""How Unicode names a letter that a reader takes for one of a to z, whatever is drawn through."""
_ALPHABETS = frozenset(
    {
        *("ARABIC", "ARMENIAN", "BENGALI", "BOPOMOFO", "CJK", "CYRILLIC", "DEVANAGARI"),
        *("ETHIOPIC", "GEORGIAN", "GREEK", "GUJARATI", "GURMUKHI", "HANGUL", "HEBREW"),
        *("HIRAGANA", "KANNADA", "KATAKANA", "KHMER", "LAO", "LATIN", "MALAYALAM", "MODIFIER"),
        *("MYANMAR", "ORIYA", "SINHALA", "TAMIL", "TELUGU", "THAANA", "THAI", "TIBETAN"),
    }
)
"""Those that Unicode recommends for identifiers (UAX 31, table 5); others only look like one."""


def holder(name: str) -> str:
    """Return what a reader recognizes in a name: two names with one result are one person.

    Width, case, spaces, punctuation, accents and letters that look alike make no difference, so
    two people whose names differ by no more need names that do (`Li Wei (Risk)`).

    Examples
    --------
    >>> len({holder(name) for name in ("Li Wei", "LI  WEI ", "L\u0456 W\u0435i", "\uff2ci-Wei")})
    1
    >>> holder("Li Wei") == holder("Li Wen")
    False
    """
    plain = unicodedata.normalize("NFKD", name).translate(_CAPITALS).casefold()
    signs = map(_letter, unicodedata.normalize("NFKD", plain).translate(_LETTERS))
    return "".join(filter(_is_read, signs)).translate(_LETTERS)


def _letter(sign: str) -> str:
    found = _LATIN.fullmatch(unicodedata.name(sign, ""))
    return found[1].lower() if found else sign


def _is_read(sign: str) -> bool:
    """Tell whether a sign makes a name another name: letters, digits and the vowels of Asia do."""
    kind, name = unicodedata.category(sign), unicodedata.name(sign, "")
    is_accent = kind == "Me" or unicodedata.combining(sign) == 1 or "VARIATION SELECTOR" in name
    is_accent |= 10 <= unicodedata.combining(sign) <= 36 or unicodedata.combining(sign) >= 200
    is_accent |= name.startswith(("MODIFIER LETTER", "COMBINING GRAPHEME"))
    return kind[0] in "LMN" and not is_accent and sign not in _INVISIBLE and "SALTILLO" not in name


def _wording(text: str) -> str:
    """Return what a reader recognizes in an id or a version: width, case and blanks are nothing."""
    plain = unicodedata.normalize("NFKC", text).translate(_CAPITALS).casefold()
    plain = "".join(sign for sign in plain if sign.isprintable() and not sign.isspace())
    return plain.translate(_LETTERS)


def _scripts(name: str) -> set[str]:
    """Return the alphabets that a name is written in; those of East Asia mix with any other."""
    letters = [sign for sign in unicodedata.normalize("NFKC", name) if sign.isalpha()]
    found = {unicodedata.name(sign, "UNKNOWN").partition(" ")[0] for sign in letters}
    return {
        script for script in found if script.partition("-")[0] not in _ONE_SCRIPT | {"MODIFIER"}
    }


def _is_day(text: str) -> bool:
    return date.fromisoformat(text).isoformat() == text


def _is_measure(text: str) -> bool:
    return re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)*", text) is not None


def _is_count(number: int) -> bool:
    return type(number) is int and number >= 0


def _is_number(text: str) -> bool:
    return math.isfinite(float(text))


TEXTS = {...: str}
_NUMBER, _LATER_DAY = (None, _is_number), (None, _is_day)
_MEASUREMENT = {
    "measure": _is_measure,
    "scope": TEXTS,
    "n": _is_count,
    "unit": str,
    "reason": str,
    "value": _NUMBER,
    "low": _NUMBER,
    "high": _NUMBER,
    "outcome": ("PASS", "BREACH", "INCONCLUSIVE", "INFO"),
}
_EVIDENCE = {
    "schema": "evidence/1",
    "kind": str,
    "subject": TEXTS,
    "measured_on": _is_day,
    "measurements": [_MEASUREMENT],
    "not_evidenced": [str],
}
_WAIVER = {
    "measure": str,
    "scope": TEXTS,
    "owner": str,
    "reason": str,
    "granted_on": _is_day,
    "expires_on": _is_day,
}
_DECISION = {
    "schema": "gate-decision/1",
    "outcome": _MEASUREMENT["outcome"],
    "decided_on": _is_day,
    "evidence": str,
    "appetite": str,
    "subject": TEXTS,
    "judged": [_MEASUREMENT],
    "refusals": [str],
    "waived": [_WAIVER],
}
_FINDING = {
    "id": str,
    "measure": str,
    "scope": TEXTS,
    "severity": SEVERITIES,
    "text": str,
    "owner": str,
    "opened_on": _is_day,
    "closed_on": _LATER_DAY,
}
_THRESHOLD = {
    "measure": str,
    "scope": TEXTS,
    "at_least": _NUMBER,
    "at_most": _NUMBER,
    "basis": ("interval", "point"),
    "minimum_n": int,
    "minimum_count?": int,
    "need": ("required", "reported"),
    "is_waivable": bool,
    "waiver_max_days?": int,
    "severity?": SEVERITIES,
    "kind": ("law", "guidance", "house"),
    "owner": str,
    "source": str,
    "effective_from": _is_day,
    "effective_to": _LATER_DAY,
}
_APPETITE = {
    "schema": "risk-appetite/1",
    "id": str,
    "version": str,
    "countersigned_from?": SEVERITIES,
    "thresholds": [_THRESHOLD],
}
_FILE = {"path": str, "sha256": str, "size": int}
FORMS: Mapping[str, Mapping[str, Any]] = {
    "people": {"add": [dict], "revoke": [str]},
    "model-manifest": {
        "files": [_FILE],
        "declared": TEXTS,
        "estimators": TEXTS,
        "lineage": dict,
        "location": str,
        "run_id": str,
        "model_id": str,
        "submission": str,
        "observed": dict,
        "run": {"shown": str, "files": [_FILE]},
    },
    "risk-appetite": {"appetite": _APPETITE, "digest": str, "on": _is_day},
    "validation-evidence": {"evidence": _EVIDENCE, "digest": str},
    "policy-evidence": {"evidence": _EVIDENCE, "digest": str, "role": str},
    "alternatives-evidence": {"evidence": _EVIDENCE, "digest": str, "judgement": dict},
    "gate-decision": {"decision": _DECISION, "digest": str, "appetite": _APPETITE},
    "approval": {
        "role": str,
        "binds": TEXTS,
        "closed_before": [str],
        "approved_on": _is_day,
        "expires_on": _is_day,
    },
    "waiver": {"waiver": _WAIVER, "role": str},
    "finding": {"event": ("opened", "closed"), "finding": _FINDING, "note": str},
    "heartbeat": {"monitor": str, "on": _is_day, "facts": TEXTS},
    "freeze": {"event": ("frozen", "released"), "on": _is_day, "reason": str},
    "review": {"event": str, "vintage": str, "on": _is_day, "acts": [dict]},
    "developer-study": {
        "study": str,
        "document": dict,
        "digest": str,
        "headlines": [_MEASUREMENT],
        "run_ids": [str],
    },
    "lifecycle": {
        "event": (
            *("promotion-intent", "promotion-applied", "promotion-abandoned"),
            *("catalogue-drifted", "catalogue-agrees-again"),
        )
    },
}
"""What a statement of each kind says at least, part by part; a part holds that and no more."""


def _fits(value: Any, form: Any) -> bool:
    """Tell whether a part of a statement is of its form."""
    match form:
        case dict() if ... in form:
            return isinstance(value, dict) and all(_fits(one, form[...]) for one in value.values())
        case dict():
            parts = {name.removesuffix("?"): part for name, part in form.items()}
            return (
                isinstance(value, dict)
                and form.keys() & parts.keys() <= value.keys() <= parts.keys()
                and all(_fits(value[name], parts[name]) for name in value)
            )
        case list():
            return isinstance(value, list) and all(_fits(one, form[0]) for one in value)
        case tuple():
            return any(_fits(value, one) for one in form)
        case type():
            return type(value) is form
        case None | str():
            return bool(value == form)
    return bool(form(value))


class Roll:
    """Who may sign, as the root's statements say one after the other.

    A key counts from the entry that adds it until the entry that revokes it; what it signed in
    between stays signed.
    """

    def __init__(self) -> None:
        self.known: dict[str, Person] = {}
        self.active: dict[str, Person] = {}

    def change(self, said: Mapping[str, Any]) -> str:
        """Revoke and add keys as one statement of the root says; return what is wrong, or nothing.

        Wrong is a key that is added twice or revoked unknown, a person with two keys of one role,
        a name in two alphabets, and that nobody would hold the root's or the ledger's key.
        """
        for identity in said["revoke"]:
            if self.active.pop(str(identity), None) is None:
                return "revokes a key that is not in force"
        for person in [as_person(entry) for entry in said["add"]]:
            problem = self._problem(person)
            if problem:
                return f"lists {person.name!r} as {person.role}, {problem}"
            self.known[person.key_id] = self.active[person.key_id] = person
        lacking = {"root", "ledger"} - {person.role for person in self.active.values()}
        return f"leaves nobody with the key of the {min(lacking)}" if lacking else ""

    def _problem(self, person: Person) -> str:
        if person.role not in ROLES:
            return f"which is no role; known: {', '.join(sorted(ROLES))}"
        if not holder(person.name) or not person.name.isprintable():
            return "a name without letters or with signs that do not print"
        if len(_scripts(person.name)) > 1:
            return "a name in letters of two alphabets"
        if not {script.partition("-")[0] for script in _scripts(person.name)} <= _ALPHABETS:
            return "a name in letters that look like those of another alphabet"
        if person.key_id in self.known:
            return "with a key that was listed before"
        if any(
            (other.role, holder(other.name)) == (person.role, holder(person.name))
            for other in self.active.values()
        ):
            return "who holds a key of that role already; revoke it in the same statement"
        return ""


def roll_of(bodies: Sequence[bytes]) -> Roll:
    """Return the roll after these ledger entries, of which only the root's are looked at."""
    roll = Roll()
    for seq, body in enumerate(bodies):
        if not seq or b'"kind":"people"' in body:
            entry = verify_entry(body, seq, roll.active or _founders(body))
            try:
                problem = roll.change(entry["statement"]["predicate"])
            except (ValueError, KeyError, TypeError, AttributeError):
                problem = "lists nobody"
            if problem:
                raise VerificationError(f"Ledger entry {seq} {problem}.")
    return roll


def _founders(body: bytes) -> dict[str, Person]:
    """Return whom the first entry lists, unverified: its own signature is checked with them."""
    try:
        said = json.loads(payload_of(json.loads(body)["envelope"]))["predicate"]
        return {person.key_id: person for person in map(as_person, said["add"])}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VerificationError(
            "Ledger entry 0 is not the root's list of people; the ledger cannot be checked."
        ) from error


def read_checkpoint(text: str, bodies: Sequence[bytes]) -> Checkpoint:
    """Return what a checkpoint of the ledger with these entries says, if the ledger's key signed.

    Raises
    ------
    VerificationError
        If the text is damaged or not signed by a key that held the role ``ledger`` at its entry.
    """
    size = read_note(text).head.size
    if size and not bodies:
        raise VerificationError(
            f"The ledger differs from its signed head of {size} entries: all of them are gone."
        )
    # The entry that hands the ledger's key over may be signed for by the old key or the new one.
    at_hand_over = (roll_of(bodies[: max(1, size - less)]) for less in (0, 1))
    return verify_checkpoint(text, {k: v for roll in at_hand_over for k, v in roll.active.items()})


class Adoption(NamedTuple):
    """A risk appetite that both approver roles signed: with which entry, from which day on."""

    seq: int
    on: str
    digest: str
    appetite: Mapping[str, Any]


Said = Mapping[str, Any]


class LedgerHistory:
    """What a ledger says, taken entry by entry; an entry that contradicts the rules is refused.

    Everybody who asks who may sign, which appetite holds or which version is champion asks this,
    the product no less than an outsider. What a statement claims about its signer's role, about
    the version, the appetite or the decision that it rests on is compared and never believed.
    """

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.roll = Roll()
        self.manifests: dict[str, dict[str, Any]] = {}
        self.adoptions: list[Adoption] = []
        self.promotions: list[dict[str, Any]] = []
        self._pending: dict[str, Any] | None = None
        self._said: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._appetites: dict[tuple[str, str], str] = {}
        self.agreed: dict[str, list[dict[str, Any]]] = {}
        self.findings: dict[str, list[Mapping[str, Any]]] = {}
        self.words: set[tuple[str, bytes]] = set()
        self._rules: Mapping[str, Callable[[dict[str, Any]], str]] = {
            "people": lambda entry: self.roll.change(entry["statement"]["predicate"]),
            "model-manifest": self._manifest_problem,
            "risk-appetite": self._appetite_problem,
            "validation-evidence": self._evidence_problem,
            "policy-evidence": self._evidence_problem,
            "gate-decision": self._decision_problem,
            "approval": self._approval_problem,
            "lifecycle": self._event_problem,
            "finding": self._finding_problem,
            "freeze": self._freeze_problem,
            "waiver": self._waiver_problem,
        }

    def take(self, body: bytes) -> None:
        """Verify one more entry and take it in.

        Raises
        ------
        VerificationError
            Naming the entry and what it contradicts.
        """
        seq = len(self.entries)
        entry = verify_entry(body, seq, self.roll.active if seq else _founders(body))
        if not seq and entry["kind"] != "people":
            raise VerificationError("Ledger entry 0 is not the root's list of people.")
        try:
            problem = self._problem(entry)
        except VerificationError as error:
            raise VerificationError(f"Ledger entry {seq}: {error}") from None
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            problem = "does not say what a statement of its kind must say"
        if problem:
            raise VerificationError(f"Ledger entry {seq} {problem}.")
        self.entries.append(entry)
        self._said.setdefault((entry["kind"], entry["subject"]), []).append(entry)

    def said(self, kind: str, subject: str) -> list[dict[str, Any]]:
        """Return the entries of one kind about one subject, oldest first."""
        return self._said.get((kind, subject), [])

    def attached(self, subject: str) -> dict[str, dict[str, Any]]:
        """Return the newest policy evidence of each kind about one version, by kind."""
        found = self.said("policy-evidence", subject)
        newest = {entry["statement"]["predicate"]["evidence"]["kind"]: entry for entry in found}
        return {kind: newest[kind] for kind in sorted(newest)}

    def appetite(self, on: str) -> Adoption | None:
        """Return the risk appetite that holds on a day: the one adopted last, of those until it."""
        return next((one for one in reversed(self.adoptions) if one.on <= on), None)

    def closed(self, subject: str) -> list[str]:
        """Return the digest of every gate decision about one version that was closed."""
        made = [entry["statement"]["predicate"] for entry in self.said("gate-decision", subject)]
        return [said["digest"] for said in made if said["decision"]["outcome"] != "PASS"]

    def bindings(self, subject: str) -> dict[str, str]:
        """Return what an approval of a version must be bound to now.

        Raises
        ------
        VerificationError
            If the newest gate decision is not about the newest evidence.
        """
        manifest = self.manifests[subject]["statement"]
        decisions, measured = (
            self.said(kind, subject) for kind in ("gate-decision", "validation-evidence")
        )
        if not decisions or not measured:
            raise VerificationError(f"{subject} was not judged by the gate.")
        made = decisions[-1]["statement"]["predicate"]
        attached = {
            kind: digest(entry["statement"]["predicate"]["evidence"])
            for kind, entry in self.attached(subject).items()
        }
        judged = {k: d for k, d in made["decision"]["subject"].items() if k in POLICY_EVIDENCE}
        evidence = digest(measured[-1]["statement"]["predicate"]["evidence"])
        if made["decision"]["evidence"] != evidence or judged != attached:
            raise VerificationError(f"{subject} has newer evidence than its gate decision.")
        return {
            "model": manifest["subject"][0]["digest"]["sha256"],
            "policy": file_digest(manifest["predicate"], POLICY_FILE),
            "lineage": digest(manifest["predicate"]["lineage"]),
            "evidence": evidence,
            "appetite": digest(made["appetite"]),
            "decision": digest(made["decision"]),
            **attached,
        }

    def _problem(self, entry: dict[str, Any]) -> str:
        """Say what an entry contradicts, given the ones before it; or nothing."""
        kind, name, said = entry["kind"], entry["subject"], entry["statement"]["predicate"]
        if not all(name in said and _fits(said[name], form) for name, form in FORMS[kind].items()):
            return "does not say what a statement of its kind must say"
        if not all(_is_day(said[key]) for key in DAYS & said.keys()):
            return "holds a day that is not written YYYY-MM-DD"
        if said.get("role", entry["person"].role) != entry["person"].role:
            return f"says that the {said['role']} signed; it was the {entry['person'].role}"
        if name.startswith(MODEL) and kind != "model-manifest":
            known = self.manifests.get(name)
            if known is None or known["statement"]["subject"] != entry["statement"]["subject"]:
                return f"is about other bytes than the manifest of {name}"
        rule = self._rules.get(kind)
        problem = rule(entry) if rule else ""
        # One who keeps the ledger could say again, later, what somebody once signed.
        words = (entry["person"].key_id, payload_of(entry["envelope"]))
        if not problem and words in self.words:
            return "was signed before; the same words do not count twice"
        self.words.add(words)
        return problem

    def _manifest_problem(self, entry: dict[str, Any]) -> str:
        name, statement = entry["subject"], entry["statement"]
        number = name.removeprefix(MODEL)
        if not number.isascii() or not number.isdigit() or name != f"{MODEL}{int(number)}":
            return "is a manifest of no version number"
        if name in self.manifests:
            return f"is a second manifest of {name}; a version number is given once"
        if manifest_digest(statement["predicate"]["files"]) != _sha256(entry):
            return f"lists other files than the bytes of {name}"
        self.manifests[name] = entry
        return ""

    def _appetite_problem(self, entry: dict[str, Any]) -> str:
        said = entry["statement"]["predicate"]
        appetite = said["appetite"]
        found, named = digest(appetite), (appetite["id"], appetite["version"])
        if found != said["digest"] or found != _sha256(entry):
            return "holds another risk appetite than its digest says"
        if entry["subject"] != f"appetite:{appetite['id']}":
            return "is about another risk appetite than it holds"
        told = (_wording(named[0]), _wording(named[1]))
        if self._appetites.setdefault(told, found) != found:
            return (
                f"changes the risk appetite {' '.join(named)}, which was signed with other "
                "thresholds; another appetite needs another version"
            )
        agreed = self.agreed.setdefault(found, [])
        agreed.append(entry)
        for other in agreed[:-1]:
            if are_two(other["person"], entry["person"]):
                on = max(one["statement"]["predicate"]["on"] for one in (other, entry))
                self.adoptions.append(Adoption(entry["seq"], on, found, appetite))
                self.agreed.clear()
                break
        return ""

    def _evidence_problem(self, entry: Said) -> str:
        said, manifest = entry["statement"]["predicate"], self.manifests[entry["subject"]]
        about, sha256 = said["evidence"]["subject"], _sha256(entry)
        if digest(said["evidence"]) != said["digest"]:
            return "is evidence that is not what its digest says"
        is_policy = entry["kind"] == "policy-evidence"
        needed = "policy" if is_policy else "model"
        problem = about_problem(about, sha256, manifest["statement"]["predicate"], needed)
        if problem:
            return problem
        measured = tuple(item["measure"] for item in said["evidence"]["measurements"])
        if is_policy:
            may = POLICY_EVIDENCE.get(said["evidence"]["kind"], ())
            if not measured or not all(measure.startswith(may) for measure in measured):
                return "is policy evidence that measures what is not its kind's"
        elif said["evidence"]["kind"] != "validation":
            return "is evidence of another kind than the validator's"
        return ""

    def _waiver_problem(self, entry: Said) -> str:
        said = entry["statement"]["predicate"]["waiver"]
        if said["expires_on"] <= said["granted_on"]:
            return "is a waiver that ends before it begins"
        is_short = len(said["reason"]) < SHORTEST_REASON or not holder(said["reason"])
        if not holder(said["owner"]) or is_short:
            return "is a waiver of nobody or without a reason"
        return ""

    def _freeze_problem(self, entry: Said) -> str:
        said = entry["statement"]["predicate"]
        if digest(said) != _sha256(entry):
            return "is about another freeze than its digest says"
        return ""

    def _finding_problem(self, entry: Said) -> str:
        said = entry["statement"]["predicate"]
        finding, is_closing = said["finding"], said["event"] == "closed"
        if entry["subject"] not in self.manifests:
            return "is a finding about no version"
        if is_closing != bool(finding["closed_on"]):
            return "is a finding that is opened and closed at once"
        if is_closing:
            if {**finding, "closed_on": None} not in self.findings.get(finding["id"], []):
                return "closes another finding than was opened"
            if finding["closed_on"] < finding["opened_on"]:
                return "closes a finding before it was opened"
        else:
            self.findings.setdefault(finding["id"], []).append(finding)
        return ""

    def _decision_problem(self, entry: Said) -> str:
        """Say what a decision contradicts; whether it follows from its evidence is not asked."""
        said, name = entry["statement"]["predicate"], entry["subject"]
        decision, appetite = said["decision"], self.appetite(said["decision"]["decided_on"])
        if digest(decision) != said["digest"]:
            return "is a gate decision that is not what its digest says"
        measured, attached = self.said("validation-evidence", name), self.attached(name)
        if not measured:
            return "is a gate decision without evidence"
        if not digest(said["appetite"]) == decision["appetite"] == (appetite or [""] * 3)[2]:
            return "was not judged by the risk appetite that both approvers signed"
        judged = [measured[-1], *attached.values()]
        days = [item["statement"]["predicate"]["evidence"]["measured_on"] for item in judged]
        if not _is_day(decision["decided_on"]) or max(days) > decision["decided_on"]:
            return "was decided before its evidence was measured"
        if appetite and min(item["seq"] for item in judged) < appetite.seq:
            return "was judged on evidence that is older than the signing of its risk appetite"
        found = {
            item: digest(attached[item]["statement"]["predicate"]["evidence"]) for item in attached
        }
        evidence = measured[-1]["statement"]["predicate"]["evidence"]
        about = {**evidence["subject"], **found}
        if decision["evidence"] != digest(evidence) or decision["subject"] != about:
            return "is a gate decision on other evidence than the newest"
        if (decision["outcome"] == "PASS") != (not decision["refusals"]):
            return "is a gate decision that is open with refusals, or closed without"
        problems = (
            waiver_problem(
                waiver, said["appetite"], decision["decided_on"], self.said("waiver", name)
            )
            for waiver in decision["waived"]
        )
        return next((f"used a waiver {problem}" for problem in problems if problem), "")

    def _approval_problem(self, entry: Said) -> str:
        said, name = entry["statement"]["predicate"], entry["subject"]
        if said["binds"] != self.bindings(name):
            return "approves other digests than the present ones"
        if said["binds"]["decision"] in self.closed(name):
            return "approves behind a closed gate"
        if said["closed_before"] != self.closed(name):
            return "does not name every closed decision that came before"
        judged = self.said("gate-decision", name)[-1]["statement"]["predicate"]["decision"]
        if not judged["decided_on"] <= said["approved_on"] <= said["expires_on"]:
            return "ends before it begins, or begins before the gate decided"
        term = date.fromisoformat(said["expires_on"]) - date.fromisoformat(said["approved_on"])
        return "approves for longer than may be" if term.days > APPROVAL_MAX_DAYS else ""

    def _event_problem(self, entry: dict[str, Any]) -> str:
        said = entry["statement"]["predicate"]
        match said["event"]:
            case "promotion-intent":
                problem = self._intent_problem(entry)
                self._pending = entry
                return problem and f"is a promotion that {problem}"
            case "promotion-applied":
                intent = self._pending
                wanted = intent and {
                    **intent["statement"]["predicate"],
                    "event": "promotion-applied",
                    "intent": intent["seq"],
                }
                if not intent or said != wanted or intent["subject"] != entry["subject"]:
                    return "is a promotion that was not intended so"
                self._pending = None
                self.promotions.append(entry)
            case "promotion-abandoned":
                self._pending = None
        return ""

    def _intent_problem(self, entry: Said) -> str:
        said, name, on = (
            entry["statement"]["predicate"],
            entry["subject"],
            entry["statement"]["predicate"]["on"],
        )
        before = champion(self)
        if type(said["version"]) is not int or name != f"{MODEL}{said['version']}":
            return "names another version than it is about"
        if said["previous"] != (before and before["statement"]["predicate"]["version"]):
            return "names another champion before it than there was"
        if before and on < before["statement"]["predicate"]["on"]:
            return "is for a day before the promotion that it follows"
        if said["binds"] != self.bindings(name):
            return "is not bound to the present model, evidence, appetite and decision"
        decision = self.said("gate-decision", name)[-1]["statement"]["predicate"]["decision"]
        if decision["outcome"] != "PASS" or decision["decided_on"] > on:
            return "had no open gate"
        appetite = self.appetite(on)
        if appetite is None or appetite.digest != said["binds"]["appetite"]:
            return "was judged by another risk appetite than the one that held"
        return self._people_problem(entry)

    def _people_problem(self, entry: Said) -> str:
        """Say what is wrong with the people of a promotion: four, and two of them approve."""
        said, name = entry["statement"]["predicate"], entry["subject"]
        attached = list(self.attached(name).values())
        acting = [self.manifests[name], self.said("validation-evidence", name)[-1]]
        if said["manifest"] != acting[0]["seq"] or said["evidence"] != acting[1]["seq"]:
            return "rests on another manifest or other evidence than the version's"
        if said["policy_evidence"] != [item["seq"] for item in attached]:
            return "rests on other policy evidence than the newest"
        given = {item["seq"]: item for item in self.said("approval", name)}
        approvals = [given[seq] for seq in said["approvals"] if seq in given]
        if len(approvals) != len(said["approvals"]) or any(
            not self.counts(approval, said["binds"], said["on"]) for approval in approvals
        ):
            return "rests on an approval that was not in force for what was promoted"
        return people_problem(
            [item["person"] for item in approvals],
            [item["person"] for item in acting],
            [item["person"] for item in attached],
        )

    def counts(self, approval: Said, binds: Mapping[str, str], on: str) -> bool:
        """Tell whether an approval holds for exactly `binds` on a day, every refusal known."""
        said = approval["statement"]["predicate"]
        if said["closed_before"] != self.closed(approval["subject"]):
            return False
        is_for = said["binds"] == dict(binds) and approval["person"].key_id in self.roll.active
        return bool(is_for and said["approved_on"] <= on <= said["expires_on"])


def about_problem(about: Said, sha256: str, manifest: Said, needed: str) -> str:
    """Say what is wrong with what evidence says it is about, given the manifest of its subject.

    `needed` must be named; policy and features by the digest of the file, or of the declaration in
    it that the developer signed.
    """
    known = {"model": {sha256}}
    for name, path in (("policy", POLICY_FILE), ("features", FEATURES_FILE)):
        known[name] = {file_digest(manifest, path), manifest["declared"].get(f"{name}_digest")}
    for name, digests in known.items():
        if name not in about and name == needed:
            return f"is evidence that does not say which {name} it is about"
        if name in about and (not about[name] or about[name] not in digests):
            return f"is evidence about another {name} than its subject's"
    return ""


def waiver_problem(waiver: Said, appetite: Said, on: str, given: Sequence[Said]) -> str:
    """Say why a waiver does not count on a day, given the statements of waivers until then."""
    signed = [
        entry["person"] for entry in given if entry["statement"]["predicate"]["waiver"] == waiver
    ]
    if not signed:
        return "that nobody had signed"
    if not waiver["granted_on"] <= on <= waiver["expires_on"]:
        return "that was not in force"
    threshold = next((one for one in appetite["thresholds"] if _concerns(one, waiver, on)), None)
    if threshold is None or not threshold["is_waivable"]:
        return "of what may not be waived"
    term = date.fromisoformat(waiver["expires_on"]) - date.fromisoformat(waiver["granted_on"])
    if term.days > threshold.get("waiver_max_days", WAIVER_MAX_DAYS):
        return "of a longer term than its threshold allows"
    grave = SEVERITIES.index(appetite.get("countersigned_from", "severe"))
    is_grave = SEVERITIES.index(threshold.get("severity", "medium")) >= grave
    if is_grave and not any(are_two(one, other) for one in signed for other in signed):
        return "that takes both approvers, and has one"
    return ""


def _concerns(threshold: Said, waiver: Said, on: str) -> bool:
    """Tell whether a threshold is in force and speaks about the measure and scope of a waiver."""
    scope, ends = waiver["scope"], threshold["effective_to"]
    is_in_force = threshold["effective_from"] <= on and (ends is None or on <= ends)
    is_about = all(
        name in scope and wanted in ("*", scope[name])
        for name, wanted in threshold["scope"].items()
    )
    return bool(is_in_force and is_about and threshold["measure"] == waiver["measure"])


def people_problem(
    approvers: Sequence[Person], makers: Sequence[Person], measurers: Sequence[Person]
) -> str:
    """Say what is wrong with the people behind a promotion, or nothing.

    Both approver roles; developer, validator and approvers four people with four keys; and no
    approver among those who measured the policy.
    """
    if sorted(person.role for person in approvers) != sorted(APPROVERS):
        return "lacks an approval by each approver role"
    acting = [*approvers, *makers]
    names = {holder(person.name) for person in acting}
    if len(names) != len(acting) or len({person.key_id for person in acting}) != len(acting):
        return "has one person in two roles"
    if {holder(one.name) for one in measurers} & {holder(one.name) for one in approvers}:
        return "has one person who measured the policy and approved it"
    return ""


def are_two(one: Person, other: Person) -> bool:
    """Tell whether two signatures are of two roles, two people and two keys."""
    is_other = one.role != other.role and one.key_id != other.key_id
    return is_other and holder(one.name) != holder(other.name)


def champion(history: LedgerHistory, on: str | None = None) -> dict[str, Any] | None:
    """Return the entry of the promotion whose version is champion on a day, or by the newest word.

    Only promotions that `LedgerHistory.take` let in count: open gate, two approvals in force by two
    people, all for exactly the same bytes, evidence, appetite and decision.
    """
    made = [
        entry
        for entry in history.promotions
        if on is None or entry["statement"]["predicate"]["on"] <= on
    ]
    return made[-1] if made else None


def waivers_used(history: LedgerHistory) -> int:
    """Return how many waivers the gate decisions of a ledger used; each was let in as it should."""
    made = (entry for entry in history.entries if entry["kind"] == "gate-decision")
    return sum(len(entry["statement"]["predicate"]["decision"]["waived"]) for entry in made)


class Lasting(NamedTuple):
    """A finding or a freeze: the entry that began it, and who has agreed by which day to end it."""

    begun: dict[str, Any]
    agreed: list[tuple[Person, str]]

    def agree(self, person: Person, on: str) -> None:
        """Note that somebody agrees to end it; whoever signs again moves no day."""
        if all(person.key_id != other.key_id for other, _ in self.agreed):
            self.agreed.append((person, on))

    def holds(self, on: str) -> bool:
        """Tell whether it holds on a day: begun by then, and not ended."""
        ends = self.ended_on
        return bool(_effective(self.begun) <= on and (ends is None or on < ends))

    @property
    def ended_on(self) -> str | None:
        """The first day on which two people in two roles with two keys had agreed, or None."""
        days = [
            max(day, other_day)
            for person, day in self.agreed
            for other, other_day in self.agreed
            if are_two(person, other)
        ]
        return min(days, default=None)


def findings(history: LedgerHistory) -> list[Lasting]:
    """Return every finding that was opened, oldest first; two that differ in a word are two.

    So a milder one that was opened early under the same id takes the place of none.
    """
    found: list[Lasting] = []
    for entry in history.entries:
        if entry["kind"] == "finding":
            said = entry["statement"]["predicate"]["finding"]
            about = [one for one in found if _finding(one) == {**said, "closed_on": None}]
            if entry["statement"]["predicate"]["event"] == "opened":
                found += [] if about else [Lasting(entry, [])]
            for one in about if said["closed_on"] else ():
                one.agree(entry["person"], said["closed_on"])
    return found


def freezes(history: LedgerHistory) -> list[Lasting]:
    """Return every freeze, oldest first; a release for a day before it agrees to nothing."""
    found: dict[str, Lasting] = {}
    for entry in history.entries:
        if entry["kind"] == "freeze":
            said = entry["statement"]["predicate"]
            if said["event"] == "frozen":
                found[_sha256(entry)] = Lasting(entry, [])
            elif said["freeze"] in found and said["on"] >= _effective(found[said["freeze"]].begun):
                found[said["freeze"]].agree(entry["person"], said["on"])
    return list(found.values())


def _finding(lasting: Lasting) -> Said:
    said: Said = lasting.begun["statement"]["predicate"]["finding"]
    return said


def _effective(entry: Said) -> str:
    """Return from which day a finding or a freeze holds."""
    said = entry["statement"]["predicate"]
    return str(said["finding"]["opened_on"] if "finding" in said else said["on"])


def freeze_name(lasting: Lasting) -> str:
    """Return what people call a freeze."""
    return f"freeze-{_sha256(lasting.begun)[:12]}"


def signers(history: LedgerHistory) -> list[dict[str, Any]]:
    """Return every key that was ever listed: whose it is, how much it signed, whether it counts."""
    return [
        {
            "key_id": person.key_id,
            "role": person.role,
            "name": person.name,
            "signed": sum(entry["person"].key_id == person.key_id for entry in history.entries),
            "is_active": person.key_id in history.roll.active,
        }
        for person in sorted(history.roll.known.values(), key=lambda one: (one.role, one.name))
    ]


def file_digest(manifest: Said, path: str) -> str:
    """Return the SHA-256 of a file that a manifest lists, or the empty text."""
    files = {file["path"]: str(file["sha256"]) for file in manifest["files"]}
    return files.get(path, "")


def _sha256(entry: Said) -> str:
    return str(entry["statement"]["subject"][0]["digest"]["sha256"])


def read_history(bodies: Sequence[bytes]) -> LedgerHistory:
    """Return what these entries say, each verified against the ones before it."""
    history = LedgerHistory()
    for body in bodies:
        history.take(body)
    return history


def head_of(checkpoint: str, bodies: Sequence[bytes]) -> Checkpoint:
    """Return the signed head that a ledger with these entries continues.

    Raises
    ------
    VerificationError
        If it is not signed by the ledger's key, or the entries do not continue it.
    """
    head = read_checkpoint(checkpoint, bodies)
    if not is_prefix(head, bodies):
        raise VerificationError(
            f"The ledger differs from its signed head of {head.size} entries: it was edited, "
            "reordered, cut off or rewritten. Compare it with the witnessed copy."
        )
    return head


def verify_ledger(
    bodies: Sequence[bytes], checkpoint: str, people: People | None = None
) -> LedgerHistory:
    """Verify a whole ledger against its signed head, and against a copy of its people if given.

    Entries after the head are allowed (the head is written after them) and checked one by one.

    Raises
    ------
    VerificationError
        On the first thing that does not fit.
    """
    head_of(checkpoint, bodies)
    history = read_history(bodies)
    if people is not None:
        compare_people(people, history.roll)
    return history


def compare_people(copy: People, roll: Roll) -> None:
    """Refuse a copy of the people unless it lists exactly the keys that the root listed.

    Raises
    ------
    VerificationError
        Naming a key that only one of the two lists, or lists differently.
    """
    for identity in sorted(copy.keys() | roll.known.keys()):
        listed, signed = copy.get(identity), roll.known.get(identity)
        if listed != signed:
            how = "otherwise than" if listed and signed else "that is not in"
            where = "the ledger" if listed else "people.json"
            person = listed or signed or Person("nobody", "nothing", identity, b"")
            raise VerificationError(
                f"A key is listed {how} {where}: {person.name!r} as {person.role}, "
                f"{identity[:12]}. Only the root's signed statements say who may sign."
            )


def judge(files: Mapping[str, bytes], people: People, on: str) -> dict[str, Any]:
    """Hold a pack, whose files and signatures are verified, against the rules.

    Returns
    -------
    dict
        How many promotions and waivers there were, every key, and champion, open findings and
        freezes of the pack's day.

    Raises
    ------
    VerificationError
        On the first entry that contradicts a rule, or if ``status.json`` says otherwise.
    """
    with reading("ledger.jsonl"):
        bodies = files["ledger.jsonl"].split(b"\n")[:-1]
        history = verify_ledger(bodies, files["checkpoint.txt"].decode(), people)
        if read_json(files[LIST], LIST)["keyid"] not in history.roll.active:
            raise VerificationError(f"{LIST} is signed by a key of the ledger that was revoked.")
        return {
            "promotions": len(history.promotions),
            "waivers": waivers_used(history),
            "keys": signers(history),
            **_stated(files, history, on),
        }


def _stated(files: Mapping[str, bytes], history: LedgerHistory, on: str) -> dict[str, Any]:
    """Return champion, open findings and freezes of a day, once ``status.json`` tells the same."""
    name = "status.json"
    now = champion(history, on)
    stands = {
        "champion": now and now["statement"]["predicate"]["version"],
        "findings_open": sorted(_finding(one)["id"] for one in findings(history) if one.holds(on)),
        "freezes": sorted(freeze_name(one) for one in freezes(history) if one.holds(on)),
    }
    with reading(name):
        told = json.loads(files[name])
        said = {
            "champion": told["champion"],
            "findings_open": sorted(finding["id"] for finding in told["findings_open"]),
            "freezes": sorted(freeze["id"] for freeze in told["freezes"]),
        }
        wrong = [part for part in stands if stands[part] != said[part]]
        wrong += ["on"] * (told["on"] != on)
    if wrong:
        raise VerificationError(f"{name} says otherwise than the ledger: {', '.join(wrong)}.")
    return stands
