"""Names of upstreams, accounts and users: what any database can store, and any mail, log and terminal can show."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import chain

MAX_NAME_CHARACTERS = 255
#: Fillers, joiners and variation selectors, which Python takes for printable (Unicode's Default_Ignorable_Code_Point),
#: and the empty Braille pattern.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
#: A longer list of names is not read.
_MOST_LISTED = 10

#: What upstreams say of a user that was deleted, in English and in the other languages of ``LexikBackend``.
_DELETED = re.compile(
    r"(user|account|benutzer|gebruiker|utilisateur|usuário|utilizador|użytkownik)[^;]{0,60}"
    r"(not[ _](be )?found|no longer exist|(not|n't) exist|deleted|être trouvé|nicht gefunden|non trovato"
    r"|niet worden gevonden|nie istnieje|não encontrado)|no se encontró el nombre|error loading the user|nil user",
    re.IGNORECASE,
)


def is_name(value: object) -> bool:
    """Tell whether a value is 1 to 255 printable characters: no control, bidirectional or other invisible ones."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_CHARACTERS:
        return False
    return value.isprintable() and not value.isspace() and not _UNSEEN.search(value)


def check_name(what: str, value: object) -> None:
    """Raise ValueError, before anything is sent, for what is no name; the text does not repeat the value."""
    if not is_name(value):
        raise ValueError(f"{what} must be 1 to {MAX_NAME_CHARACTERS} printable characters")


def harmless(name: str) -> str:
    """Return a name as it is shown: what no terminal, mail or log may be told is escaped, such as "\\x1b".

    Rows that were written by other means, by SQL or from a fixture, may have such names.
    """
    printable = (
        name if name.isprintable() else "".join(char if char.isprintable() else _escaped(char) for char in name)
    )
    return _UNSEEN.sub(lambda found: _escaped(found[0]), printable)


def _escaped(char: str) -> str:
    return ascii(char)[1:-1]


def full_name(upstream: str, account: str = "") -> str:
    """Return what an account is called wherever it is shown, such as "crm/acme"; without one the upstream alone."""
    return harmless(f"{upstream}/{account}" if account else upstream)


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Return "; did you mean 'crm'?", to be put behind the message about an unknown name, or "" if none is like it."""
    closest = closest_name(name, known)
    return f"; did you mean {closest!r}?" if closest else ""


def closest_name(name: object, known: Iterable[object]) -> str:
    """Return the known name that is most like an unknown one, "" if none is."""
    names = [*map(str, known)]
    same = (each for each in names if each.casefold() == str(name).casefold())
    return next(chain(same, get_close_matches(str(name), names, n=1)), "")


def alternatives(name: object, known: Iterable[object]) -> str:
    """Return what an unknown name might have been: all known names, or the ten most like it, and the likeliest."""
    names = [*map(str, known)]
    by_likeness = names if len(names) <= _MOST_LISTED else get_close_matches(str(name), names, len(names), 0)
    return f"{listed(by_likeness)}{did_you_mean(name, names)}"


def listed(names: Sequence[str]) -> str:
    """Return the first ten names, and how many more there are."""
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return (", ".join(map(harmless, names[:_MOST_LISTED])) or "none") + more


def says_deleted(reason: str) -> bool:
    """Tell whether a reason says that there is no user of that name any more."""
    return _DELETED.search(reason) is not None


def command(name: str, upstream: str, account: str = "default") -> str:
    """Return one of our commands for an upstream and account, to be copied into a shell whatever their names are."""
    words = ["manage.py", name, upstream]
    if account != "default":
        words += [f"--account={account}"] if account.startswith("-") else ["--account", account]
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    # By the shell's own escapes: our commands refuse such a name, and must not be given another account's.
    return "$'{}'".format(harmless(word.replace("\\", "\\\\").replace("'", "\\'")))
