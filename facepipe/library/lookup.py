"""People and faces found again by what users write: ids, beginnings of them, names."""

from collections.abc import Sequence

import pyarrow as pa

from facepipe.errors import WrongUsageError

SHORT_ID = 8
EXAMPLES = 3


def find_person(people: pa.Table, text: str) -> str:
    """Return the id of the person whom a text names: an id, the beginning of one that no other shares, or a name.

    Args:
        people: rows of `people` with person_id and name.
        text: what the user wrote.

    Raises:
        WrongUsageError: there is nobody like that, or more than one.
    """
    names: dict[str, str | None] = dict(zip(people["person_id"].to_pylist(), people["name"].to_pylist(), strict=True))
    if text in names:
        return text
    found = sorted({*(person for person in names if text and person.startswith(text)), *_named(names, text)})
    if len(found) == 1:
        return found[0]
    if not found:
        raise WrongUsageError(f"there is no person {text!r}: `facepipe people list` shows those that there are")
    shown = ", ".join(f"{person[:SHORT_ID]} ({names[person] or 'no name'})" for person in found[:EXAMPLES])
    more = f" and {len(found) - EXAMPLES:,} more" if len(found) > EXAMPLES else ""
    raise WrongUsageError(f"{text!r} may be {len(found)} people: {shown}{more}; give more of the id")


def _named(names: dict[str, str | None], text: str) -> list[str]:
    return [person for person, name in names.items() if text and name == text]


def find_faces(face_ids: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Return the ids of the faces that texts name, each once: ids, or short ones as `short_face_id` gives them.

    Args:
        face_ids: all of them.
        texts: what the user wrote.

    Raises:
        WrongUsageError: there is no face like that, or more than one.
    """
    known = set(face_ids)
    found = []
    for text in texts:
        photo, dash, ordinal = text.rpartition("-")
        fitting = (
            [text]
            if text in known
            else [
                face for face in face_ids if dash and photo and face.startswith(photo) and face.endswith(f"-{ordinal}")
            ]
        )
        if not fitting:
            raise WrongUsageError(f"there is no face {text!r}: `facepipe people show P` lists the faces of a person")
        if len(fitting) > 1:
            raise WrongUsageError(f"{len(fitting)} faces begin and end like {text!r}: give more of the id")
        found += fitting
    return list(dict.fromkeys(found))


def short_face_id(face_id: str) -> str:
    """Return the beginning of a face's photo_id with the face's ordinal, as people can type it."""
    photo, _, ordinal = face_id.rpartition("-")
    return f"{photo[:SHORT_ID]}-{ordinal}"
