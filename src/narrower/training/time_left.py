"""How long the rest of some work takes, from how long what is done took."""

from rich.progress import ProgressColumn, Task
from rich.text import Text

MOST_MARKS = 512  # that are remembered


class TimeLeft:
    """The rest is to go as fast as the last half of what is done, or of the time that it took.

    What was slow at first (something is compiled, nothing is held yet) and what went by at once (results of
    an earlier search) is left behind; what comes and goes, such as plans that share less with those before
    them, is averaged. Times are those of any clock that goes forward.
    """

    def __init__(self, total: float, started: float, done: float = 0) -> None:
        self._total = total
        self._marks = [(done, started)]

    def report(self, done: float, now: float) -> None:
        """So much is done."""
        if done <= self._marks[-1][0]:
            return
        self._marks.append((done, now))
        if len(self._marks) > MOST_MARKS:
            self._marks = [*self._marks[:-2:2], *self._marks[-2:]]

    @property
    def speed(self) -> float | None:
        """Done a second; None before it is known."""
        (first, started), (done, last) = self._marks[0], self._marks[-1]
        half = max(
            next(i for i in reversed(range(len(self._marks))) if 2 * self._marks[i][0] <= first + done),
            next(i for i in reversed(range(len(self._marks))) if 2 * self._marks[i][1] <= started + last),
        )
        begun, since = self._marks[half]
        return (done - begun) / (last - since) if done > begun and last > since else None

    def seconds(self, now: float) -> float | None:
        """How long the rest takes; None before it is known.

        Between two reports the time that goes by is taken off, as far as what the last one was about.
        """
        done, last = self._marks[-1]
        if done >= self._total:
            return 0.0
        speed = self.speed
        if speed is None:
            return None
        step = min(done - self._marks[-2][0], self._total - done)
        return (self._total - done) / speed - min(now - last, step / speed)


class TimeLeftColumn(ProgressColumn):
    """The seconds that the field ``left`` of a bar says, as hours, minutes and seconds; dashes before."""

    max_refresh = 0.5  # seconds

    def render(self, task: Task) -> Text:
        """Show it."""
        left: TimeLeft | None = task.fields.get("left")
        seconds = None if left is None else left.seconds(task.get_time())
        if seconds is None:
            return Text("-:--:--", style="progress.remaining")
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return Text(f"{hours}:{minutes:02}:{rest:02}", style="progress.remaining")
