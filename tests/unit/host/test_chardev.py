"""Character devices: the host's ends of serial ports."""

import errno
import fcntl
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import termios
import textwrap
import tty
from pathlib import Path

import pytest

from vpcore.errors import BackendError, ConfigError, DiskFullError
from vpcore.host.chardev import KEEP, FdChar, PtyChar, SerialPortChar, StdioChar, TcpChar, TcpListenChar, open_char
from vpcore.host.ends import BufferChar, ModemSignals, NullChar

ROOT = Path(__file__).resolve().parents[3]
NOBODY = ModemSignals(cts=False, dsr=False, dcd=False)


@pytest.fixture
def opened(loop, tmp_path):
    """Open an end by its spec; all are closed afterwards."""
    ends = []

    def open_(spec, **options):
        ends.append(open_char(spec, "com1", loop=loop, base=tmp_path, leave=lambda: None, **options))
        return ends[-1]

    yield open_
    for end in ends:
        end.close()


def wait_for(loop, condition):
    """Serve the loop until a condition holds."""
    for _ in range(500):
        if condition():
            return
        loop.wait(0.01)
    raise AssertionError("it never came true")


def take(loop, end, size):
    """Read that many bytes as the guest does."""
    out = b""

    def got():
        nonlocal out
        out += end.read(size - len(out))
        return len(out) >= size

    wait_for(loop, got)
    return out


@pytest.fixture
def pipes():
    """Two pipes, non-blocking: (what the device reads, what it writes, our ends)."""
    read, feed = os.pipe()
    sink, write = os.pipe()
    for fd in (read, feed, sink, write):
        os.set_blocking(fd, False)
    yield read, write, feed, sink
    for fd in (read, write, feed, sink):
        os.close(fd)


# -- descriptors --


def test_input_waits_until_the_guest_reads_it(loop, pipes):
    end = FdChar(loop, pipes[0], pipes[1], "pipe")
    calls = []
    end.on_input(lambda: calls.append(1))
    os.write(pipes[2], b"hello")
    loop.poll()

    assert (b"he", b"llo", b"") == (end.read(2), end.read(10), end.read(10))
    assert calls == [1]


def test_output_that_does_not_fit_goes_when_there_is_room(loop, pipes):
    end = FdChar(loop, None, pipes[1], "pipe")
    size = fcntl.fcntl(pipes[1], fcntl.F_GETPIPE_SZ)
    data = bytes(range(256)) * ((size + KEEP - 4096) // 256)
    end.write(data)
    got = os.read(pipes[3], size)
    while len(got) < len(data):
        loop.wait(1)
        got += os.read(pipes[3], size)

    assert data == got
    assert end.dropped == 0
    loop.poll()
    assert not select.select([pipes[3]], [], [], 0)[0]


def test_output_that_nobody_takes_is_dropped_from_its_beginning_and_counted(loop, pipes, caplog):
    end = FdChar(loop, None, pipes[1], "pipe")
    size = fcntl.fcntl(pipes[1], fcntl.F_GETPIPE_SZ)
    for _ in range(10):
        end.write(bytes(KEEP))
    end.write(b"the end")
    got = b""
    while not got.endswith(b"the end"):
        loop.poll()
        got += os.read(pipes[3], size)

    assert end.dropped == 10 * KEEP + 7 - len(got) > 0
    assert [record.message for record in caplog.records] == ["pipe: nobody takes the output: its beginning is dropped"]


def test_closing_sends_what_still_fits(loop, pipes):
    end = FdChar(loop, None, pipes[1], "pipe")
    size = fcntl.fcntl(pipes[1], fcntl.F_GETPIPE_SZ)
    end.write(bytes(size) + b"last words")
    os.read(pipes[3], size)
    end.close()

    assert os.read(pipes[3], 100) == b"last words"


def test_a_sender_waits_while_the_guest_takes_nothing(loop, pipes):
    end = FdChar(loop, pipes[0], None, "pipe")
    sent = 0
    for _ in range(100):
        try:
            sent += os.write(pipes[2], bytes(4096))
        except BlockingIOError:
            loop.poll()
    size = fcntl.fcntl(pipes[2], fcntl.F_GETPIPE_SZ)

    assert sent <= KEEP + 4096 + size
    assert sent == len(take(loop, end, sent))


def test_the_end_of_the_input_is_told_and_nothing_is_lost(loop):
    read, feed = os.pipe()
    end = FdChar(loop, read, None, "pipe")
    calls = []
    end.on_input(lambda: calls.append(end.there))
    os.write(feed, b"bye")
    os.close(feed)
    wait_for(loop, lambda: not end.there)
    loop.poll()

    assert calls == [True, False]
    assert end.read(10) == b"bye"
    end.close()
    os.close(read)


# -- pty --


def test_a_pty_carries_every_byte_both_ways(loop, opened):
    end = opened("pty")
    assert isinstance(end, PtyChar)
    slave = os.open(end.slave_name, os.O_RDWR | os.O_NOCTTY)
    data = bytes(range(256))
    os.write(slave, data)
    end.write(data)

    assert data == take(loop, end, 256)
    assert data == os.read(slave, 1000)
    os.close(slave)


def test_a_pty_tells_its_name(opened, caplog):
    end = opened("pty")

    assert [record.message for record in caplog.records] == [f"com1 is on {end.slave_name}"]


def test_a_terminal_program_may_come_and_go(loop, opened):
    end = opened("pty")
    for text in (b"first", b"second"):
        slave = os.open(end.slave_name, os.O_RDWR | os.O_NOCTTY)
        os.write(slave, text)
        assert text == take(loop, end, len(text))
        os.close(slave)


# -- files --


def test_output_goes_to_a_file_from_its_beginning(opened, tmp_path):
    (tmp_path / "log").write_bytes(b"what was there before")
    end = opened("file:log")
    end.write(b"one ")
    end.write(b"two")

    assert (tmp_path / "log").read_bytes() == b"one two"
    assert end.read(10) == b""


def test_a_file_that_cannot_be_written_is_named(opened, tmp_path):
    with pytest.raises(BackendError) as error:
        opened("file:nowhere/log")

    assert str(error.value) == f"{tmp_path}/nowhere/log: cannot write serial output there: No such file or directory"


def test_a_full_host_stalls_the_output(opened, tmp_path, monkeypatch):
    real, failures, stalls = os.write, [errno.ENOSPC] * 2, []

    def write(fd, data):
        if failures:
            code = failures.pop()
            raise OSError(code, os.strerror(code))
        return real(fd, data)

    end = opened("file:log", stall=stalls.append)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        end.write(b"kept")

    assert [DiskFullError] * 2 == [type(error) for error in stalls]
    assert (tmp_path / "log").read_bytes() == b"kept"


def test_dev_full_without_a_stall_is_an_error(opened):
    with pytest.raises(DiskFullError, match="/dev/full: cannot write serial output: No space left on device"):
        opened("file:/dev/full").write(b"x")


# -- tcp --


@pytest.fixture
def server():
    """A listening socket."""
    with socket.create_server(("localhost", 0)) as server:
        yield server


def test_tcp_connects_and_carries_bytes_both_ways(loop, opened, server):
    end = opened(f"tcp:localhost:{server.getsockname()[1]}")
    assert isinstance(end, TcpChar)
    peer, _ = server.accept()
    peer.sendall(b"to the guest")
    end.write(b"from the guest")

    assert take(loop, end, 12) == b"to the guest"
    assert peer.recv(100) == b"from the guest"
    peer.close()


def test_carrier_falls_when_the_other_side_closes(loop, opened, server):
    end = opened(f"tcp:localhost:{server.getsockname()[1]}")
    changes = []
    end.on_input(lambda: changes.append(end.signals()))
    peer, _ = server.accept()
    before = end.signals()
    peer.close()
    wait_for(loop, lambda: changes)
    end.write(b"nobody hears this")

    assert (ModemSignals(), [NOBODY]) == (before, changes)


def test_a_slow_peer_gets_everything(loop, opened, server):
    end = opened(f"tcp:localhost:{server.getsockname()[1]}")
    peer, _ = server.accept()
    data = bytes(range(256)) * 200
    for at in range(0, len(data), 5000):
        end.write(data[at : at + 5000])
    got = b""
    peer.setblocking(False)
    for _ in range(1000):
        loop.wait(0.005)
        try:
            got += peer.recv(1 << 16)
        except BlockingIOError:
            continue
        if len(got) == len(data):
            break
    peer.close()

    assert data == got


def test_a_refused_connection_is_named(opened, server):
    port = server.getsockname()[1]
    server.close()
    with pytest.raises(BackendError) as error:
        opened(f"tcp:localhost:{port}")

    assert str(error.value) == f"tcp:localhost:{port}: cannot connect: Connection refused"


@pytest.fixture
def listening(loop):
    """An end that listens."""
    end = TcpListenChar(loop, "localhost", 0)
    yield end
    end.close()


def connect(end):
    return socket.create_connection(("localhost", end.port), timeout=5)


def test_carrier_shows_who_is_connected(loop, listening):
    changes = []
    listening.on_input(lambda: changes.append(listening.signals()))
    before = listening.signals()
    peer = connect(listening)
    wait_for(loop, lambda: len(changes) == 1)
    peer.close()
    wait_for(loop, lambda: len(changes) == 2)

    assert (NOBODY, [ModemSignals(), NOBODY]) == (before, changes)


def test_a_listening_end_carries_bytes_both_ways(loop, listening):
    listening.write(b"nobody hears this")
    with connect(listening) as peer:
        peer.sendall(b"hello")
        assert take(loop, listening, 5) == b"hello"
        listening.write(b"world")
        assert peer.recv(100) == b"world"


def test_a_new_connection_takes_the_place_of_the_old_one_and_loses_nothing(loop, listening):
    with connect(listening) as first:
        first.sendall(b"first ")
        wait_for(loop, lambda: listening.signals().dcd)
        loop.wait(0.05)
        with connect(listening) as second:
            second.sendall(b"second")
            assert take(loop, listening, 12) == b"first second"
            listening.write(b"x")
            assert second.recv(10) == b"x"
        assert first.recv(10) == b""


def test_a_port_in_use_is_named(loop, listening):
    with pytest.raises(BackendError, match=f"tcp-listen:localhost:{listening.port}: cannot listen: "):
        TcpListenChar(loop, "localhost", listening.port)


# -- a host's serial port --


@pytest.fixture
def port(loop):
    """A serial port (a pty's slave) and the other end of its cable."""
    serial = pytest.importorskip("serial")
    del serial
    master, slave = os.openpty()
    tty.setraw(master)
    end = SerialPortChar(loop, os.ttyname(slave))
    yield end, master, slave
    end.close()
    os.close(master)
    os.close(slave)


def test_a_serial_port_carries_every_byte_both_ways(loop, port):
    end, master, _ = port
    data = bytes(range(256))
    os.write(master, data)
    end.write(data)

    assert data == take(loop, end, 256)
    assert data == os.read(master, 1000)


def test_a_serial_port_follows_the_guests_line(port):
    """A pty keeps 8 bits and has no parity: what it cannot do does not stop the rest."""
    end, _, slave = port
    end.configure(1200, 7, "E", 2.0)
    flags = termios.tcgetattr(slave)

    assert flags[4:6] == [termios.B1200, termios.B1200]
    assert flags[2] & termios.CSTOPB


def test_settings_that_no_port_has_are_left_alone(port):
    end, _, slave = port
    end.configure(2400, 9, "Q", 3.0)

    assert termios.tcgetattr(slave)[4] == termios.B2400


def test_signals_of_a_port_that_has_none_count_as_there(port):
    end, _, _ = port
    end.set_signals(dtr=True, rts=True, break_=False)

    assert end.signals() == ModemSignals()
    assert end.has_modem


def test_a_port_that_is_not_there_is_named(opened):
    pytest.importorskip("serial")
    with pytest.raises(BackendError, match="/dev/ttyNOWHERE: cannot open the serial port: "):
        opened("/dev/ttyNOWHERE")


def test_without_pyserial_the_error_says_what_to_install(opened, monkeypatch):
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(BackendError) as error:
        opened("/dev/ttyS0")

    assert str(error.value) == "/dev/ttyS0: host serial ports need pyserial: pip install 'vpcore[serial]'"


# -- stdio --


def test_stdio_reads_a_file_to_its_end(loop, tmp_path):
    path = tmp_path / "input"
    path.write_bytes(bytes(range(256)) * 100)
    stdin = os.open(path, os.O_RDONLY)
    end = StdioChar(loop, lambda: None, stdin, os.open(os.devnull, os.O_WRONLY))

    assert path.read_bytes() == take(loop, end, 25600)
    end.close()
    os.close(stdin)


STDIO = """
    import sys
    from pathlib import Path
    from vpcore.host.chardev import open_char
    from vpcore.host.loop import HostLoop
    loop = HostLoop()
    left = []
    end = open_char("stdio", "com1", loop=loop, base=Path(), leave=lambda: left.append(1))
    end.write(b"ready\\n")
    got = b""
    while not left and not got.endswith(b"!"):
        loop.wait(None)
        got += end.read(100)
    end.write(b"<" + got + b">" + b"left" * len(left))
    end.close()
"""


def stdio(stdin, stdout):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(STDIO)],
        stdin=stdin,
        stdout=stdout,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )


def test_stdio_through_pipes():
    process = stdio(subprocess.PIPE, subprocess.PIPE)
    out, _ = process.communicate(b"\x1dhello!", timeout=20)

    assert out == b"ready\n<\x1dhello!>"
    assert process.returncode == 0


def read_until(fd, ending):
    out = b""
    while not out.endswith(ending):
        assert select.select([fd], [], [], 20)[0], out
        out += os.read(fd, 1000)
    return out


@pytest.fixture
def terminal():
    """A terminal with the program on it: (our end, the terminal, its settings before, the process)."""
    master, slave = os.openpty()
    before = termios.tcgetattr(slave)
    process = stdio(slave, slave)
    read_until(master, b"ready\r\n")
    yield master, slave, before, process
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait()
    os.close(master)
    os.close(slave)


def test_the_guest_gets_every_key_of_a_terminal(terminal):
    """Ctrl-C and Ctrl-Z too; nothing is echoed by the host."""
    master, _, _, process = terminal
    os.write(master, b"\x03\x1a\r!")

    assert read_until(master, b">") == b"<\x03\x1a\r!>"
    assert process.wait(20) == 0


def test_ctrl_bracket_leaves_and_the_terminal_is_as_it_was(terminal):
    master, slave, before, process = terminal
    os.write(master, b"keys\x1dnot these")

    assert read_until(master, b"left") == b"<keys>left"
    assert process.wait(20) == 0
    assert before == termios.tcgetattr(slave)


# -- specs --


def test_none_and_buffer_are_what_they_say(opened):
    assert type(opened("none")) is NullChar
    assert type(opened("buffer")) is BufferChar


@pytest.mark.parametrize("spec", ["", "nothing", "stdio:x", "none:", "file", "tcp", "udp:a:1", "ttyS0", "COM1"])
def test_unknown_specs_are_errors_that_list_the_known_ones(opened, spec):
    with pytest.raises(ConfigError) as error:
        opened(spec)

    assert str(error.value) == (
        "backend of device 'com1' must be one of none, buffer, stdio, pty, file:PATH, tcp:HOST:PORT, tcp-listen:HOST:PORT"
        f" or a device such as /dev/ttyS0 (got {spec!r})"
    )


@pytest.mark.parametrize("rest", ["", "localhost", "localhost:", "localhost:http", "localhost:65536", "localhost:-1"])
@pytest.mark.parametrize("kind", ["tcp", "tcp-listen"])
def test_bad_addresses_are_errors(opened, kind, rest):
    with pytest.raises(ConfigError) as error:
        opened(f"{kind}:{rest}")

    assert str(error.value) == f"serial backend '{kind}:{rest}' must be {kind}:HOST:PORT"


def test_an_address_without_a_host_is_this_host(opened):
    """A port open to the world would be a surprise."""
    end = opened("tcp-listen::0")

    assert end._server.getsockname()[0] in ("127.0.0.1", "::1")


def test_no_warnings_are_logged_by_ordinary_use(opened, caplog):
    with caplog.at_level(logging.WARNING):
        opened("buffer").write(b"x")

    assert caplog.records == []
