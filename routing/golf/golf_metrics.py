"""What golf counts for Prometheus (ADV-74); no id is a label."""

from prometheus_client import Counter, Gauge, Histogram

DOWNSTREAM_SECONDS = Histogram(
    "baton_downstream_seconds", "Calls of solver and planner, all tries together.", ["service", "outcome"]
)
DOWNSTREAM_RETRIES = Counter("baton_downstream_retries", "Tries after the first.", ["service"])
BREAKER_OPEN = Gauge("baton_downstream_breaker_open", "1 while a service is left alone.", ["service"])
ADVICE = Counter("baton_advice", "Calls for advice.", ["plan_type", "outcome"])
SURFACE_COMMITS = Counter("baton_surface_commits", "Changes of the surface a hole reports.", ["to"])
BUNDLE_FAILURES = Counter("baton_debug_bundle_failures", "Debug bundles that could not be written.")
