"""How the name of something that is listed may be written."""

from collections.abc import Iterable, Mapping

from narrower.errors import UnknownNameError, unknown_name


def spelled(name: str, other_names: Mapping[str, str] | None = None) -> str:
    """A name as it is listed: underscores and hyphens are the same, and so are capitals."""
    plain = name.lower().replace("_", "-")
    return (other_names or {}).get(plain, plain)


def canonical_name(
    what: str,
    name: str,
    known: Iterable[str],
    *,
    other_names: Mapping[str, str] | None = None,
    elsewhere: Mapping[str, str] | None = None,
) -> str:
    """The listed spelling of a name of ``what``.

    ``other_names`` are those that others use; ``elsewhere`` says of names that exist in other tools only what
    there is instead.

    Raises:
        UnknownNameError: the name is not listed.
    """
    names, plain = list(known), spelled(name, other_names)
    if plain in names:
        return plain
    if elsewhere and plain in elsewhere:
        raise UnknownNameError(f"{what} {name!r} {elsewhere[plain]}; allowed: {', '.join(names)}")
    raise unknown_name(what, name, [*names, "package.module:name"])
