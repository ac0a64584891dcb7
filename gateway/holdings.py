"""Which parts of the plan boards hold: what they said, and what was sent to them since. The journal keeps both."""

from gateway.journal import Journal
from irrigation.model import Timetable


class Holdings:
    """A board that is lost may hold any of these; one that it never said may have been lost on the way."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.confirmed = journal.per_board("confirmed", Timetable)
        self._given = journal.given()

    def give(self, node_id: str, part: Timetable) -> None:
        """Write down that a part is about to be sent to a board."""
        before = self._given.get(node_id, ())
        if part not in before:
            with self._journal.transaction():
                self._journal.give(node_id, part)
            self._given[node_id] = (*before, part)

    def confirm(self, node_id: str, version: int | None, newest: Timetable | None) -> bool:
        """Note that a board says it holds that version, if it is one of its own; return whether that is news."""
        known = (*self._given.get(node_id, ()), *((newest,) if newest else ()))
        part = next((one for one in known if one.version == version), None)
        if part is None or part == self.confirmed.get(node_id):
            return False
        with self._journal.transaction():
            self._journal.save_confirmed(node_id, part)
        self.confirmed[node_id] = part
        self._given[node_id] = tuple(one for one in self._given.get(node_id, ()) if one.version > part.version)
        return True

    def all(self) -> dict[str, tuple[Timetable, ...]]:
        """Return all that each board may hold, oldest first; boards that hold none are left out."""
        said = {node_id: (part,) for node_id, part in self.confirmed.items()}
        every = {node_id: said.get(node_id, ()) + self._given.get(node_id, ()) for node_id in {*said, *self._given}}
        return {node_id: each for node_id, each in every.items() if each}
