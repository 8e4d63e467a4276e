"""The table of test media, and `vpcore image`."""

import pytest
from click.testing import CliRunner

from vpcore.errors import ImageError
from vpcore.images import apt, cli, debian_mini, media


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VPCORE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def packages(monkeypatch):
    """Packages that need no network; lists the names of those that were asked for."""
    asked = []

    def get(_self, names, _progress):
        asked.extend(names)
        return list(names)

    def extract(_package, target):
        rom = target / "usr/share/seabios/bios-256k.bin"
        rom.parent.mkdir(parents=True)
        rom.write_bytes(b"rom")

    monkeypatch.setattr(apt.Apt, "get", get)
    monkeypatch.setattr(apt, "extract", extract)
    return asked


def run(*arguments):
    return CliRunner().invoke(cli.image, arguments)


def test_each_medium_has_a_package_and_a_file_of_its_own():
    assert all(name == medium.name and medium.packages and medium.help for name, medium in media.MEDIA.items())
    assert len(media.MEDIA) == len({media.cached(medium) for medium in media.MEDIA.values()})


def test_an_unknown_medium_is_answered_with_the_known_ones():
    with pytest.raises(ImageError, match=r"no medium 'dos'; there are grub-rescue-floppy"):
        media.path("dos")


def test_a_medium_is_fetched_once(packages):
    assert b"rom" == media.path("seabios").read_bytes()
    assert media.path("seabios") == media.path("seabios")
    assert ["seabios"] == packages


def test_a_medium_that_its_package_lacks_leaves_nothing(packages):
    with pytest.raises(ImageError, match="no longer has usr/share/seabios/vgabios"):
        media.path("seabios-vga")
    assert [] == list(media.cached(media.MEDIA["seabios-vga"]).parent.iterdir())


def test_fetch_prints_the_path_and_copies_on_request(packages, tmp_path):
    result = run("fetch", "seabios", "--to", str(tmp_path / "here"))
    assert 0 == result.exit_code, result.output
    assert b"rom" == (tmp_path / "here" / "seabios.bin").read_bytes()
    assert str(tmp_path / "here" / "seabios.bin") in result.output


def test_fetch_without_a_name_says_what_to_do():
    result = run("fetch")
    assert isinstance(result.exception, ImageError)
    assert "--all" in str(result.exception)


def test_list_shows_every_image_and_medium():
    output = run("list").output
    assert all(name in output for name in (debian_mini.NAME, *media.MEDIA))


@pytest.mark.parametrize(("text", "size"), [("128M", 128 << 20), ("1g", 1 << 30), ("65536", 65536), ("64k", 65536)])
def test_sizes_have_units(text, size):
    assert size == cli.parse_size(text)


@pytest.mark.parametrize("text", ["", "M", "-1M", "1.5G", "12T", "9" * 40])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ImageError, match="size must be"):
        cli.parse_size(text)
