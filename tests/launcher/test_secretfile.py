"""var/secrets.env (OPS-5)."""

from pathlib import Path

from launcher import secretfile


def test_ensure_makes_keys_only_the_owner_reads(tmp_path: Path) -> None:
    """OPS-5: mode 0600; every key long enough for OPS-61 and unlike the others."""
    made = secretfile.ensure(tmp_path / "var" / "secrets.env")

    assert (tmp_path / "var" / "secrets.env").stat().st_mode & 0o777 == 0o600
    assert set(made) == set(secretfile.NAMES)
    assert len(set(made.values())) == len(made)
    assert min(map(len, made.values())) >= 32


def test_ensure_never_replaces_a_key(tmp_path: Path) -> None:
    """OPS-5: once; what is missing is added."""
    path = tmp_path / "secrets.env"
    path.write_text("SECRET_KEY=the-first-one\n")

    made = secretfile.ensure(path)

    assert made["SECRET_KEY"] == "the-first-one"
    assert secretfile.ensure(path) == made == secretfile.read_env(path)
