"""How the seeds of several repetitions follow from one."""


def seeds_from(first: int, count: int) -> list[int]:
    """``count`` seeds, the given one first."""
    return [first + number for number in range(count)]
