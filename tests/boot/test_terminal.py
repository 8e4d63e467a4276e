"""`vpcore run` in a real terminal (tmux): the screen, keys, sizes, and the terminal afterwards."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.boot,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]

ROOT = Path(__file__).resolve().parents[2]
PC99 = ROOT / "machines" / "pc99.toml"
LIMIT_S = 180

# A boot sector that shows every key that INT 16h gives, as AH and AL in hexadecimal, by INT 10h.
BOOT_SECTOR = bytes.fromhex(
    "b84b0ecd10"  # mov ax,0E4Bh ('K'); int 10h
    "31c0cd16"  # again: xor ax,ax; int 16h
    "b90400"  # mov cx,4
    "c1c004"  # digit: rol ax,4
    "50240f"  # push ax; and al,0Fh
    "0430"  # add al,'0'
    "3c3a7202"  # cmp al,':'; jb show
    "0407"  # add al,7
    "b40ecd10"  # show: mov ah,0Eh; int 10h
    "58e2eb"  # pop ax; loop digit
    "b8200ecd10"  # mov ax,0E20h; int 10h
    "ebdd"  # jmp again
)
# mode 13h; fill A000:0 with colour 1; wait
PICTURE_SECTOR = bytes.fromhex("b81300cd10b800a08ec031ffb900fab001f3aaebfe")


class Tmux:
    """One session of a tmux server of its own."""

    def __init__(self, folder):
        self.command = ["tmux", "-S", str(folder / "socket"), "-f", "/dev/null"]

    def __call__(self, *arguments):
        run = subprocess.run([*self.command, *arguments], capture_output=True, text=True, check=True)
        return run.stdout

    def start(self, columns, rows, *arguments):
        command = [sys.executable, "-m", "vpcore", "run", str(PC99), *map(str, arguments)]
        shell = (
            "stty -a > before; "
            + " ".join(command)
            + "; echo status $?; stty -a > after; cmp before after && echo restored; cat"
        )
        self("new-session", "-d", "-x", str(columns), "-y", str(rows), "-c", str(self.folder), f"sh -c '{shell}' 2>&1")

    @property
    def text(self):
        return self("capture-pane", "-p")

    @property
    def mode(self):
        """What stty says of the terminal."""
        return subprocess.run(["stty", "-a", "-F", self.ask("pane_tty")], capture_output=True, check=True).stdout

    @property
    def mode_before(self):
        """What it said before."""
        return (self.folder / "before").read_bytes()

    @property
    def cursor(self):
        """Column and row."""
        return int(self.ask("cursor_x")), int(self.ask("cursor_y"))

    def ask(self, what):
        return self("display-message", "-p", f"#{{{what}}}").strip()

    def wait(self, *wanted, cursor=None):
        """Wait until each of the texts is on the screen, and the *cursor* at that (column, row)."""
        end = time.monotonic() + LIMIT_S
        while not (all(each in self.text for each in wanted) and cursor in (None, self.cursor)):
            assert time.monotonic() < end, (
                f"no {wanted}, or no cursor at {cursor}, but at {self.cursor}, in:\n{self.text}"
            )
            time.sleep(0.05)

    def keys(self, *names):
        self("send-keys", *names)

    def find(self, what):
        """The process of this session whose command line has *what*."""
        top = int(self.ask("pane_pid"))
        found = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
        rows = [line.split(None, 2) for line in found.splitlines()[1:]]
        family, size = {top}, 0
        while size != len(family):
            size = len(family)
            family |= {int(pid) for pid, parent, _ in rows if int(parent) in family}
        return next(
            int(pid) for pid, _, args in rows if int(pid) in family and what in args and not args.startswith("sh ")
        )


@pytest.fixture
def tmux(tmp_path, monkeypatch):
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    session = Tmux(tmp_path)
    session.folder = tmp_path
    yield session
    subprocess.run([*session.command, "kill-server"], capture_output=True, check=False)


@pytest.fixture
def floppy(tmp_path):
    """A function that makes a floppy with a boot sector."""

    def make(sector):
        path = tmp_path / "boot.img"
        path.write_bytes((sector.ljust(510, b"\0") + b"\x55\xaa").ljust(1440 * 1024, b"\0"))
        return path

    return make


def restored(tmux, status):
    tmux.wait(f"status {status}", "restored")
    assert tmux.ask("alternate_on") == "0"
    assert tmux.ask("cursor_flag") == "1"


@pytest.mark.parametrize(("columns", "rows"), [(80, 25), (132, 50), (60, 10)])
def test_the_bios_screen_appears_and_ctrl_bracket_restores_the_terminal(tmux, columns, rows):
    tmux.start(columns, rows)
    tmux.wait("No bootable device", cursor=(0, min(rows - 1, 10)))

    assert tmux.ask("cursor_flag") == "1"
    assert ("pc99: Ctrl-] leaves" in tmux.text) == (rows > 25)

    tmux.keys("C-]")
    restored(tmux, 0)


def test_every_kind_of_key_reaches_the_guest_in_order(tmux, floppy):
    tmux.start(80, 25, "--fda", floppy(BOOT_SECTOR), "--boot", "a")
    tmux.wait("Floppy...", "\nK")

    # scan code and character of each, from the IBM PC BIOS (INT 16h, function 0)
    tmux.keys("a", "A", "Enter", "Up", "F1", "C-c", "M-x", "Delete", "BSpace", "Escape")
    tmux.wait("1E61 1E41 1C0D 4800 3B00 2E03 2D00 5300 0E08 011B")
    tmux.keys("Tab", "!", "C-Right", "S-F2", "M-F3", "é", "z")
    tmux.wait("0F09 0221", "7400 5500 6A00 2C7A")
    tmux.keys("C-]")
    restored(tmux, 0)


def test_text_typed_fast_keeps_its_order_with_other_keys(tmux, floppy):
    tmux.start(80, 25, "--fda", floppy(BOOT_SECTOR), "--boot", "a")
    tmux.wait("Floppy...", "\nK")

    tmux.keys("a", "b", "c", "F2", "d", "e", "Enter")

    tmux.wait("1E61 3062 2E63 3C00 2064 1265 1C0D")


def test_a_resized_terminal_is_painted_anew(tmux):
    tmux.start(80, 25)
    tmux.wait("No bootable device")

    tmux("resize-window", "-x", "100", "-y", "40")

    tmux.wait("No bootable device", "pc99: Ctrl-] leaves")
    tmux("resize-window", "-x", "70", "-y", "8")
    tmux.wait("No bootable device")
    assert tmux.ask("cursor_y") == "7"


def test_a_picture_is_shown_in_half_blocks(tmux, floppy):
    tmux.start(80, 25, "--fda", floppy(PICTURE_SECTOR), "--boot", "a")

    tmux.wait("▀" * 80)
    assert "48;5;19" in tmux("capture-pane", "-p", "-e")


def test_a_killed_painter_ends_the_machine_with_one_line(tmux):
    tmux.start(80, 25)
    tmux.wait("No bootable device")

    os.kill(tmux.find("vpcore.display.painter"), signal.SIGKILL)

    restored(tmux, 1)
    assert "vpcore: display terminal: its process was ended by SIGKILL: use --display none" in tmux.text


def test_a_killed_machine_leaves_a_restored_terminal(tmux):
    tmux.start(80, 25)
    tmux.wait("No bootable device")

    os.kill(tmux.find("vpcore run"), signal.SIGKILL)

    end = time.monotonic() + LIMIT_S
    while tmux.ask("alternate_on") != "0" or tmux.ask("cursor_flag") != "1" or tmux.mode != tmux.mode_before:
        assert time.monotonic() < end, tmux.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_machine_and_restores_the_terminal(tmux, number):
    tmux.start(80, 25)
    tmux.wait("No bootable device")

    os.kill(tmux.find("vpcore run"), number)

    restored(tmux, 0)


def test_messages_are_kept_from_the_screen_and_printed_at_the_end(tmux):
    tmux.start(100, 30, "--serial", "pty")
    tmux.wait("No bootable device", "vpcore.chardev: com1 is on /dev/pts/")

    tmux.keys("C-]")

    restored(tmux, 0)
    assert "vpcore.chardev: com1 is on /dev/pts/" in tmux.text


def test_a_serial_port_in_the_terminal_takes_keys_and_gives_the_terminal_back(tmux, debian_image, tmp_path):
    disk = tmp_path / "disk.img"
    shutil.copy(debian_image, disk)
    tmux.start(100, 30, "--hda", disk, "--display", "none")
    tmux.wait(":~#")

    tmux.keys("echo $((6*7))", "Enter")
    tmux.wait("\n42")
    tmux.keys("echo $((5*5)); sleep 1000", "Enter")
    tmux.wait("\n25")  # by now the shell has left its line editor, which would take the Ctrl-C
    tmux.keys("C-c")
    tmux.keys("echo $((7*7))", "Enter")
    tmux.wait("\n49")
    tmux.keys("C-]")

    restored(tmux, 0)
