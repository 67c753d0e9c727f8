"""How the property tests run here: an example that takes long on a busy machine is no fault.

Loaded at import, because Hypothesis reads the profile where a test is defined.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("busy_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy_machine")
