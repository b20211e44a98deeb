"""Where plans are scored, as options of the command line say it on top of a settings file."""

from dataclasses import dataclass, replace

from narrower.errors import SettingsError, unknown_name
from narrower.evaluate.backends.backend import BACKENDS
from narrower.evaluate.backends.settings import BackendSettings
from narrower.settings import checks

BACKEND_NAMES = tuple(BACKENDS)


@dataclass(frozen=True, slots=True)
class BackendWishes:
    """What was given on the command line; None: as the settings have it."""

    jobs: str | None = None
    name: str | None = None
    address: str | None = None
    device: str | None = None

    def over(self, settings: BackendSettings) -> BackendSettings:
        """The settings with what was given in their place.

        Raises:
            SettingsError: with the option, what was found and what is allowed.
        """
        if self.jobs is not None:
            try:
                count = checks.jobs(int(self.jobs) if self.jobs.isdecimal() else self.jobs)
            except ValueError as error:
                raise SettingsError(f"--jobs: {error}") from None
            settings = replace(settings, jobs=None if count == "auto" else count)
        if self.name is not None:
            if self.name not in BACKENDS:
                raise unknown_name("backend", self.name, BACKENDS)
            settings = replace(settings, name=self.name)
        if self.device is not None:
            try:
                settings = replace(settings, device=checks.device(self.device))
            except ValueError as error:
                raise SettingsError(f"--device: {error}") from None
        if settings.name == "device" and settings.device == "cpu" and self.device is None:
            settings = replace(settings, device="auto")
        if settings.device != "cpu" and settings.name not in (None, "device"):
            raise SettingsError(f"--device goes with --backend device, not with {settings.name}")
        if self.address is not None:
            if settings.name != "ray":
                raise SettingsError("--address means something with --backend ray only")
            try:
                settings = replace(settings, address=checks.ray_address(self.address))
            except ValueError as error:
                raise SettingsError(f"--address: {error}") from None
        return settings
