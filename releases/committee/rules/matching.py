"""Who fills which seat: a maximum matching of people to seats, one person on one seat at most."""

from collections.abc import Mapping, Sequence


class Seating:
    """Seats with room for so many people; whoever sits may be moved to another of their seats to let one more in."""

    def __init__(self, room: Mapping[str, int]) -> None:
        """Begin with every seat empty; a seat always asks for at least one person."""
        self.room = {seat: max(1, people) for seat, people in room.items()}
        self.taken: dict[str, list[int]] = {seat: [] for seat in self.room}
        self._options: dict[int, Sequence[str]] = {}

    def add(self, person: int, options: Sequence[str]) -> bool:
        """Seat one more person on one of these seats, most wanted first; say whether there was room.

        Called for everybody in turn, this finds the greatest number of people that can sit (augmenting paths).
        """
        self._options[person] = [seat for seat in options if seat in self.room]
        return self._place(person, set())

    def missing(self) -> dict[str, int]:
        """Return how many people each seat that is not full still asks for."""
        return {seat: left for seat, people in self.room.items() if (left := people - len(self.taken[seat]))}

    def copy(self) -> "Seating":
        """Return an independent copy, to try something out."""
        twin = Seating(self.room)
        twin.taken = {seat: list(people) for seat, people in self.taken.items()}
        twin._options = dict(self._options)
        return twin

    def _place(self, person: int, tried: set[str]) -> bool:
        for seat in self._options[person]:
            if seat in tried:
                continue
            tried.add(seat)
            if len(self.taken[seat]) < self.room[seat]:
                self.taken[seat].append(person)
                return True
            for other in list(self.taken[seat]):
                if self._place(other, tried):
                    self.taken[seat].remove(other)
                    self.taken[seat].append(person)
                    return True
        return False
