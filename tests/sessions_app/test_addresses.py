"""sessions_app/access/addresses.py against POD-8."""

from typing import Any

import pytest

from sessions_app.access import addresses

PROXIES = ["10.0.0.0/8", "fd00::/8"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "counted"),
    [
        ("203.0.113.7", "", "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # an untrusted peer may claim what it likes
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, nonsense, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("fd00::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "", "203.0.113.7"),
        ("", "", ""),
    ],
)
def test_counted_believes_trusted_proxies_alone(peer: str, forwarded: str, counted: str, settings: Any) -> None:
    """POD-8, OPS-86."""
    settings.TRUSTED_PROXIES = PROXIES
    assert addresses.counted(peer, forwarded) == counted


def test_counted_believes_nobody_by_default(settings: Any) -> None:
    """POD-8: TRUSTED_PROXIES is empty."""
    settings.TRUSTED_PROXIES = []
    assert addresses.counted("10.0.0.1", "198.51.100.1") == "10.0.0.1"


def test_of_scope_reads_every_header_of_the_name(settings: Any) -> None:
    """POD-8: the lists of several headers are one list."""
    settings.TRUSTED_PROXIES = PROXIES
    headers = [(b"x-forwarded-for", b"6.6.6.6"), (b"x-forwarded-for", b"198.51.100.1")]
    assert addresses.of_scope({"client": ("10.0.0.1", 1), "headers": headers}) == "198.51.100.1"
