"""What holds for all tests."""

from hypothesis import settings

# How long an example takes tells how busy the machine is; what hangs ends by pytest's timeout.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
