"""What surrounds the code at top level of a function while its image is taken."""

from collections.abc import Mapping, Sequence

import msgspec


class Surroundings(msgspec.Struct, frozen=True):
    """`env` are the environment variables that it sees; `secrets` the names of those that it must not read there."""

    env: Mapping[str, str] = {}
    secrets: Sequence[str] = ()


NONE = Surroundings()
