"""Programs of the host, and files that appear whole or not at all."""

import pytest

from vpcore.errors import ImageError
from vpcore.images import debian_mini, grub, tools


def test_a_missing_program_names_the_package_to_install(monkeypatch):
    monkeypatch.setattr(tools, "PATH", "/nonexistent")
    with pytest.raises(ImageError, match=r"mke2fs is not installed: apt-get install e2fsprogs"):
        tools.find("mke2fs")


def test_a_build_finds_out_what_is_missing_before_it_starts(monkeypatch, tmp_path):
    monkeypatch.setattr(grub, "FOLDER", tmp_path)
    monkeypatch.setattr(tools, "find", lambda tool: tool)
    with pytest.raises(ImageError, match="apt-get install grub-pc-bin"):
        debian_mini.build(tmp_path / "out.img")
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [0, 63 << 20, (64 << 20) + 1])
def test_a_size_that_cannot_be_is_refused(size, tmp_path):
    with pytest.raises(ImageError, match="at least 64M"):
        debian_mini.build(tmp_path / "out.img", size=size)


def test_a_failing_program_s_last_words_are_the_error():
    with pytest.raises(ImageError, match=r"^debugfs failed: .*[Nn]o such file"):
        tools.run("debugfs", "-w", "-f", "/nonexistent/commands", "/nonexistent/image")


def test_a_file_takes_its_name_only_when_it_is_complete(tmp_path):
    out = tmp_path / "deep" / "out.img"
    with tools.replacing(out) as part:
        part.write_bytes(b"half")
        assert not out.exists()
    assert b"half" == out.read_bytes()
    assert [out] == list(out.parent.iterdir())


def test_ctrl_c_leaves_the_old_file_and_no_half_one(tmp_path):
    out = tmp_path / "out.img"
    out.write_bytes(b"old")

    def interrupted():
        with tools.replacing(out) as part:
            part.write_bytes(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert b"old" == out.read_bytes()
    assert [out] == list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ImageError, match="cannot make folder"), tools.replacing(tmp_path / "file" / "out.img"):
        pass


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("VPCORE_CACHE", str(tmp_path))
    assert tmp_path == tools.cache()
    monkeypatch.delenv("VPCORE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert "/xdg/vpcore" == str(tools.cache())
