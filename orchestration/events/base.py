"""What every event of a run is made of. The union of them is in the package itself."""

import msgspec


class LeftOut(msgspec.Struct, frozen=True):
    """A path that is not part of the snapshot, known and unwritable."""

    path: str
    reason: str


class StateEvent(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", rename="camel"
):
    pass
