"""Whether a request names a host this service answers for. A page elsewhere can lead its own name to our address, and
its browser would then take us for the page's own site; the name in `Host` gives it away.
"""

from django.conf import settings
from django.http.request import split_domain_port, validate_host


def is_served(host: str) -> bool:
    """Whether `host`, with or without a port, is one of ALLOWED_HOSTS."""
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)
