"""Where packages come from, without a network."""

import hashlib

import pytest

from vpcore.errors import ImageError
from vpcore.images import apt, tools


@pytest.fixture
def keyring(tmp_path, monkeypatch):
    monkeypatch.setattr(apt, "KEYRING", tmp_path / "keyring.gpg")
    apt.KEYRING.touch()
    monkeypatch.delenv(apt.MIRROR_VARIABLE, raising=False)


def known_to_apt(monkeypatch, *uris):
    monkeypatch.setattr(tools, "run", lambda *_arguments: "".join(f"{uri}\n" for uri in uris))


def test_the_host_s_debian_archives_are_used_for_our_release(keyring, monkeypatch):
    known_to_apt(monkeypatch, "http://a.test/debian/", "http://a.test/debian-security/", "http://b.test/apt")
    lines = apt.sources().splitlines()
    assert [
        "http://a.test/debian bookworm main",
        "http://a.test/debian bookworm-updates main",
        "http://a.test/debian-security bookworm-security main",
    ] == [line.split("] ")[1] for line in lines]
    assert all("signed-by=" in line and "trusted" not in line for line in lines)


def test_a_named_mirror_wins(keyring, monkeypatch):
    known_to_apt(monkeypatch, "http://a.test/debian/")
    monkeypatch.setenv(apt.MIRROR_VARIABLE, "http://mine.test/debian")
    assert {"http://mine.test/debian"} == {line.split()[2] for line in apt.sources().splitlines()}


def test_another_distribution_asks_debootstrap_for_the_archive(keyring, monkeypatch, tmp_path):
    known_to_apt(monkeypatch, "http://a.test/ubuntu/")
    monkeypatch.setattr(apt, "DEBOOTSTRAP", tmp_path / "debootstrap")
    apt.DEBOOTSTRAP.write_text('set -e\nDEF_MIRROR="http://d.test/debian"\n')
    assert "http://d.test/debian" in apt.sources()


def test_without_any_archive_the_remedy_is_named(keyring, monkeypatch, tmp_path):
    known_to_apt(monkeypatch, "http://a.test/ubuntu/")
    monkeypatch.setattr(apt, "DEBOOTSTRAP", tmp_path / "absent")
    with pytest.raises(ImageError, match="VPCORE_DEBIAN_MIRROR"):
        apt.sources()


def test_without_debian_s_keys_nothing_is_trusted(keyring):
    apt.KEYRING.unlink()
    with pytest.raises(ImageError, match="apt-get install debian-archive-keyring"):
        apt.sources()


def test_a_package_on_disk_counts_only_if_it_is_whole(tmp_path):
    package = apt.Package("a.deb", 5, hashlib.sha256(b"whole").hexdigest())
    assert not package.is_in(tmp_path)
    (tmp_path / "a.deb").write_bytes(b"whple")
    assert not package.is_in(tmp_path)
    (tmp_path / "a.deb").write_bytes(b"whole")
    assert package.is_in(tmp_path)
