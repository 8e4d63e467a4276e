"""The keyboard: IBM PS/2 Hardware Interface Technical Reference, keyboard section; Linux's atkbd and SeaBIOS as users."""

import pytest
from vpcore_plugins.chipset.scancodes import BREAK, RELEASED, SET2_TO_SET1
from vpcore_plugins.input.keyboard import scan_code
from vpcore_plugins.input.keys import KEYS, normal_name, strokes

ACK, RESEND = 0xFA, 0xFE


# -- commands --


def test_the_keyboard_announces_its_self_test(pc):
    """Power-on routine: AAh; a reset of the machine does the same."""
    pc.keyboard.reset()

    assert pc.codes() == b"\xaa"


def test_reset_answers_ack_and_the_self_test(pc):
    """Reset (FFh)."""
    pc.tell_keyboard(0xF0, 1)

    assert pc.tell_keyboard(0xFF) == bytes((ACK, 0xAA))
    assert pc.keyboard.save().scan_set == 2


def test_identify_answers_ab_83(pc):
    """Read ID (F2h): an MF2 keyboard."""
    assert pc.tell_keyboard(0xF2) == bytes((ACK, 0xAB, 0x83))


def test_echo_answers_ee(pc):
    """Echo (EEh): without ACK."""
    assert pc.tell_keyboard(0xEE) == b"\xee"


def test_leds_take_a_byte(pc):
    """Set/Reset Mode Indicators (EDh)."""
    assert pc.tell_keyboard(0xED, 0x05) == bytes((ACK, ACK))
    assert pc.keyboard.save().leds == 5


def test_a_command_in_place_of_an_argument_is_a_command(pc):
    """EDh: "if a command is received instead, the indicators do not change and the command is processed"."""
    assert pc.tell_keyboard(0xED, 0xF2) == bytes((ACK, ACK, 0xAB, 0x83))
    assert pc.keyboard.save().leds == 0


def test_typematic_rate_takes_a_byte(pc):
    """Set Typematic Rate/Delay (F3h)."""
    assert pc.tell_keyboard(0xF3, 0x20) == bytes((ACK, ACK))
    assert pc.keyboard.save().typematic == 0x20


def test_scan_code_set_can_be_asked_and_chosen(pc):
    """Select Alternate Scan Codes (F0h): 0 asks."""
    assert pc.tell_keyboard(0xF0, 0) == bytes((ACK, ACK, 2))
    assert pc.tell_keyboard(0xF0, 1) == bytes((ACK, ACK))
    assert pc.tell_keyboard(0xF0, 0) == bytes((ACK, ACK, 1))


def test_set_3_is_refused(pc):
    """Not modelled: drivers then stay with set 2."""
    assert pc.tell_keyboard(0xF0, 3) == bytes((ACK, RESEND))


def test_resend_repeats_the_last_byte(pc):
    """Resend (FEh)."""
    pc.tell_keyboard(0xF2)

    assert pc.tell_keyboard(0xFE) == b"\x83"


def test_unknown_commands_are_answered_with_resend(pc):
    """Invalid command."""
    assert pc.tell_keyboard(0xEF) == bytes((RESEND,))


def test_disable_stops_scanning_and_enable_starts_it(pc):
    """Default Disable (F5h), Enable (F4h)."""
    pc.tell_keyboard(0xF5)
    pc.keyboard.press("a")
    silent = pc.codes()
    pc.tell_keyboard(0xF4)
    pc.keyboard.release("a")

    assert (b"", bytes((0xF0, 0x1C))) == (silent, pc.codes())


@pytest.mark.parametrize("enabled", [True, False])
def test_set_default_leaves_scanning_as_it_is(pc, enabled):
    """Set Default (F6h): "continues scanning only if it was enabled before"."""
    pc.tell_keyboard(0xF4 if enabled else 0xF5)
    pc.tell_keyboard(0xF0, 1)
    pc.tell_keyboard(0xF6)
    pc.keyboard.press("a")

    assert (b"\x1c" if enabled else b"") == pc.codes()


@pytest.mark.parametrize("command", [0xF4, 0xF5, 0xF6, 0xFF])
def test_these_commands_clear_the_buffer(pc, command):
    """Output buffer."""
    pc.keyboard.press("a")

    assert pc.tell_keyboard(command)[0] == ACK


def test_answers_go_before_scan_codes_but_not_into_one(pc):
    """A driver that waits for ACK must not lose a key."""
    pc.keyboard.press("up")
    pc.keyboard.press("a")
    first = pc.keyboard.next_byte()
    pc.keyboard.receive(0xED)

    assert bytes((first,)) + pc.codes() == bytes((0xE0, 0x75, ACK, 0x1C))


# -- keys --


@pytest.mark.parametrize(
    ("key", "make", "break_"),
    [
        ("a", "1c", "f01c"),
        ("enter", "5a", "f05a"),
        ("f7", "83", "f083"),
        ("right ctrl", "e014", "e0f014"),
        ("delete", "e071", "e0f071"),
        ("pause", "e11477e1f014f077", ""),
    ],
)
def test_keys_send_codes_of_set_2(pc, key, make, break_):
    """Scan code set 2: a release has F0h before the code, behind E0h."""
    pc.keyboard.press(key)
    pressed = pc.codes()
    pc.keyboard.release(key)

    assert (make, break_) == (pressed.hex(), pc.codes().hex())


@pytest.mark.parametrize(
    ("key", "make", "break_"),
    [("a", "1e", "9e"), ("right ctrl", "e01d", "e09d"), ("f12", "58", "d8"), ("pause", "e11d45e19dc5", "")],
)
def test_keys_send_codes_of_set_1(pc, key, make, break_):
    """Scan code set 1: a release has bit 7."""
    pc.tell_keyboard(0xF0, 1)
    pc.keyboard.press(key)
    pressed = pc.codes()
    pc.keyboard.release(key)

    assert (make, break_) == (pressed.hex(), pc.codes().hex())


def translated(codes):
    """What the controller makes of set 2."""
    out, released = bytearray(), 0
    for code in codes:
        if code == BREAK:
            released = RELEASED
        else:
            out.append(SET2_TO_SET1[code] | released)
            released = 0
    return bytes(out)


@pytest.mark.parametrize("key", [*KEYS, "pause"])
@pytest.mark.parametrize("down", [True, False])
def test_the_controllers_translation_of_set_2_is_set_1(key, down):
    """The two tables and the 8042's agree, for every key."""
    assert translated(scan_code(key, 2, down=down)) == scan_code(key, 1, down=down)


def test_no_two_keys_send_the_same():
    """A code names a key."""
    for scan_set in (1, 2):
        codes = {scan_code(key, scan_set, down=True) for key in KEYS}
        assert len(codes) == len(KEYS)


@pytest.mark.parametrize("name", ["Left Ctrl", "left_ctrl", "left-ctrl", " LEFT CTRL "])
def test_key_names_are_forgiving(name):
    """Spaces, underscores and case do not matter."""
    assert normal_name(name) == "left-ctrl"


def test_an_unknown_key_is_an_error_that_lists_the_keys(pc):
    """For people at the Python API."""
    with pytest.raises(KeyError, match="no key is named 'hyper'; there are esc, 1, 2"):
        pc.keyboard.press("hyper")


def test_a_full_buffer_is_an_overrun_told_once(pc):
    """Buffer full: the 17th byte's place takes the overrun code 00h, later keys are lost."""
    for _ in range(40):
        pc.keyboard.press("a")

    assert pc.codes() == b"\x1c" * 16 + b"\x00"


def test_an_overrun_in_set_1_is_ff(pc):
    """Overrun: FFh in set 1."""
    pc.tell_keyboard(0xF0, 1)
    for _ in range(17):
        pc.keyboard.press("a")

    assert pc.codes()[-1] == 0xFF


# -- typing --


def typed(pc, text):
    """Scan codes of set 2, with the pauses in which they come."""
    pc.keyboard.type(text)
    out = []
    for _ in range(10 * len(text)):
        pc.advance(12_000_000)
        out.append(pc.codes().hex(" "))
    return [codes for codes in out if codes]


def test_typing_presses_and_releases_keys_one_after_the_other(pc):
    """Slow enough for the 15 keys of a BIOS buffer."""
    assert typed(pc, "ab") == ["1c f0 1c", "32 f0 32"]


def test_capitals_and_symbols_are_typed_with_shift(pc):
    """A US layout."""
    codes = " ".join(typed(pc, "A!"))

    assert codes == "12 1c f0 1c f0 12 12 16 f0 16 f0 12"


def test_everything_that_ascii_prints_can_be_typed():
    """No character of a shell command is left out."""
    assert [character for character in map(chr, range(32, 127)) if not strokes(character)] == []


@pytest.mark.parametrize(("character", "keys"), [("\n", "enter"), ("\t", "tab"), ("\x1b", "esc"), (" ", "space")])
def test_control_characters_have_keys(character, keys):
    """What terminals send for them."""
    assert strokes(character) == (keys,)


def test_ctrl_letters_are_typed_with_ctrl():
    """03h is Ctrl-C."""
    assert strokes("\x03") == ("left-ctrl", "c")


def test_typing_waits_until_the_guest_takes_the_keys(pc):
    """Nothing overruns."""
    pc.keyboard.type("abcdefghijklmnopqrstuvwxyz")
    pc.advance(1_000_000_000)

    assert len(pc.keyboard.save().output) <= 3


def test_typing_waits_while_scanning_is_disabled(pc):
    """A driver that sets the keyboard up loses no key."""
    pc.tell_keyboard(0xF5)
    pc.keyboard.type("a")
    pc.advance(1_000_000_000)
    pc.tell_keyboard(0xF4)
    pc.advance(1_000_000_000)

    assert pc.codes()[:1] == b"\x1c"


def test_typing_survives_a_reset_of_the_keyboard(pc):
    """The BIOS resets the keyboard while text waits."""
    pc.keyboard.type("a")
    pc.tell_keyboard(0xFF)
    pc.advance(100_000_000)

    assert b"\x1c" in pc.codes()


def test_typing_is_bounded(pc):
    """A program that types without end fills no memory."""
    pc.keyboard.type("x" * 1_000_000)

    assert len(pc.keyboard.save().typing) < 70_000
