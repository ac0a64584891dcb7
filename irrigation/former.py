"""Programs as they were before an edit: what has begun by one goes on, whatever the program has become."""

from collections.abc import Callable, Sequence

from irrigation.farm import Farm
from irrigation.occurrence import Firing


class Versions:
    """Which version of each enabled program is in force."""

    def __init__(self, farm: Farm) -> None:
        self._since = {program.id: program.since for program in farm.programs if program.enabled}

    def is_former(self, firing: Firing) -> bool:
        """Whether the firing is by a program as it was before an edit, or that is gone."""
        return self._since.get(firing.program.id) != firing.program.since

    def forbids(self, firing: Firing, *, begun: bool) -> bool:
        """Whether nothing more of it runs: its program is gone, or was changed before it began."""
        return self.is_former(firing) and not (begun and firing.program.id in self._since)

    def each_once(self, found: Sequence[Firing], has_begun: Callable[[Firing], bool]) -> Sequence[Firing]:
        """Leave out what a program has twice, as it was and as it is: what has begun goes on as it was."""
        former = {one.id_of(""): has_begun(one) for one in found if self.is_former(one)}
        if not former:
            return found
        again = {one.id_of("") for one in found if not self.is_former(one)} & former.keys()
        return [one for one in found if one.id_of("") not in again or former[one.id_of("")] is self.is_former(one)]
