"""People: who may sign, changed by the root's signed statements and by nothing else.

A key counts from the entry of the ledger that adds it until the entry that revokes it. What it
signed in between stays signed.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

from governance.errors import UsageError
from governance.settings import Settings
from registry import offline, rules
from registry.ledger import Ledger
from registry.offline import Person
from registry.record import append
from registry.rules import Roll
from registry.signing import (
    FOLDER,
    Kind,
    People,
    Role,
    Signer,
    checked,
    create_key,
    create_people,
    listed,
    write_people,
)

SHORTEST_REASON = 10


def found(settings: Settings, names: Mapping[str, str] | None = None) -> People:
    """Make keys and begin the ledger, or keep what exists and copy its people anew.

    Raises
    ------
    IntegrityError
        If ``people.json`` lists somebody whom the root did not.
    """
    people = create_people(settings.keyring, names)
    Ledger.open(settings.ledger, Signer.open(settings.keyring, Role.LEDGER), people=people)
    _copy(settings)
    return People.load(settings.keyring)


def add(settings: Settings, role: str, *, name: str, public_key: str, reason: str) -> Person:
    """List one more person in a role, by the public key (base64) that the person made.

    Raises
    ------
    UsageError
        If the role is unknown, the key is none, or the reason is not a sentence.
    IntegrityError
        If this person may not be listed so: the role is held already, or the name misleads.
    """
    try:
        raw = base64.b64decode(public_key, validate=True)
    except ValueError:
        raise UsageError("The public key is not base64.") from None
    if len(raw) != offline.KEY_BYTES:
        raise UsageError(f"An Ed25519 public key has {offline.KEY_BYTES} bytes, not {len(raw)}.")
    person = Person(name, _role(role).value, offline.key_id(raw), raw)
    _change(settings, [listed(person)], [], reason)
    return person


def rotate(settings: Settings, role: str, *, name: str, reason: str) -> Person:
    """Replace the key of a role below this keyring by a new one, which `name` holds."""
    old, place = Signer.open(settings.keyring, _role(role)), _file(settings, f"{role}.next")
    active = _copy(settings).active
    if place.exists() and (left := Signer.read(place, role).key_id) in active:
        # A run that was killed after the root's statement left this one.
        place.replace(_file(settings, role))
        return active[left]
    made = create_key(place, _role(role), name)
    _change(settings, [made], [old.key_id], reason)
    # Listed first, then moved into place: a kill in between leaves both keys, and no unlisted one.
    place.replace(_file(settings, role))
    return _copy(settings).active[made["key_id"]]


def revoke(settings: Settings, key_id: str, *, reason: str) -> Person:
    """Let the one key whose id begins with `key_id` sign nothing from here on."""
    fitting = [one for one in _copy(settings).active.values() if one.key_id.startswith(key_id)]
    if len(fitting) != 1:
        raise UsageError(f"{len(fitting)} keys in force begin with {key_id!r}; name exactly one.")
    _change(settings, [], [fitting[0].key_id], reason)
    return fitting[0]


def _change(
    settings: Settings, add: Sequence[Mapping[str, str]], drop: Sequence[str], reason: str
) -> None:
    if len(reason.strip()) < SHORTEST_REASON:
        raise UsageError("A change of the people needs a reason, in a sentence.")
    predicate = {"add": list(add), "revoke": list(drop), "reason": reason}
    subject = ("people", offline.digest(predicate))
    root = Signer.open(settings.keyring, Role.ROOT)
    append(settings, Kind.PEOPLE, subject=subject, predicate=predicate, signer=root)
    _copy(settings)


def _copy(settings: Settings) -> Roll:
    """Write ``people.json`` as the ledger has it, and return who may sign.

    Only what the root listed is added to the copy; a stranger in it is never taken away in silence.
    """
    people = People.load(settings.keyring)
    bodies = Ledger.open(settings.ledger, people=people).bodies()
    with checked():
        roll = rules.roll_of(bodies)
        if any(roll.known.get(key) != person for key, person in people.by_key.items()):
            rules.compare_people(people.by_key, roll)
    if people.by_key.keys() != roll.known.keys():
        everybody = [listed(person) for person in roll.known.values()]
        write_people(settings.keyring / FOLDER, everybody)
    return roll


def _role(role: str) -> Role:
    if role not in set(Role):
        raise UsageError(f"The role must be one of {', '.join(Role)}; given: {role}.")
    return Role(role)


def _file(settings: Settings, name: str) -> Path:
    return settings.keyring / FOLDER / f"{name}.pem"
