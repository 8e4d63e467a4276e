"""The mouse: IBM PS/2 Hardware Interface Technical Reference, mouse section; Microsoft's Intellimouse identities."""

import pytest

ACK = 0xFA
ENABLE, DISABLE, STREAM, REMOTE, READ, STATUS, RATE = 0xF4, 0xF5, 0xEA, 0xF0, 0xEB, 0xE9, 0xF3


def knock(pc, *rates):
    """Set sample rates in a row, then ask who it is."""
    for rate in rates:
        assert pc.tell_mouse(RATE, rate) == bytes((ACK, ACK))
    return pc.tell_mouse(0xF2)[1]


def test_reset_answers_ack_self_test_and_identity(pc):
    """Reset (FFh)."""
    assert pc.tell_mouse(0xFF) == bytes((ACK, 0xAA, 0x00))


def test_after_reset_reports_are_off(pc):
    """Reset: stream mode, 100 reports a second, 4 counts/mm, scaling 1:1, disabled."""
    pc.mouse.move(5, 5)

    assert pc.packets() == b""
    assert pc.tell_mouse(STATUS) == bytes((ACK, 0x00, 2, 100))


def test_movement_is_reported_upwards_positive(pc):
    """Data packet: Y counts up, the host's counts down."""
    pc.tell_mouse(ENABLE)
    pc.mouse.move(3, 4)

    assert pc.packets() == bytes((0x28, 3, 0x100 - 4))


def test_signs_are_in_the_first_byte(pc):
    """Data packet, byte 1: bits 4 and 5."""
    pc.tell_mouse(ENABLE)
    pc.mouse.move(-1, -1)

    assert pc.packets() == bytes((0x18, 0xFF, 1))


def test_buttons_are_reported_without_movement(pc):
    """Data packet, byte 1: left, right, middle."""
    pc.tell_mouse(ENABLE)
    seen = []
    for number, down in ((0, True), (1, True), (2, True), (0, False)):
        pc.mouse.button(number, down)
        seen.append(pc.packets()[0])

    assert seen == [0x09, 0x0B, 0x0F, 0x0E]


def test_nothing_new_is_not_reported(pc):
    """Stream mode sends on change."""
    pc.tell_mouse(ENABLE)
    pc.mouse.move(0, 0)
    pc.mouse.button(0, False)

    assert pc.packets() == b""


def test_movement_while_a_packet_waits_is_added_up(pc):
    """Counters accumulate until they are sent."""
    pc.tell_mouse(ENABLE)
    for _ in range(10):
        pc.mouse.move(2, 0)

    assert pc.packets() == bytes((0x08, 2, 0, 0x08, 18, 0))


def test_large_movements_take_several_packets(pc):
    """Nine bits are what a packet holds."""
    pc.tell_mouse(ENABLE)
    pc.mouse.move(600, -300)
    data = pc.packets()
    packets = [data[at : at + 3] for at in range(0, len(data), 3)]

    assert [255, 255, 90] == [packet[1] for packet in packets]
    assert [255, 45, 0] == [packet[2] for packet in packets]


def test_a_hand_that_never_stops_is_bounded(pc):
    """The counters saturate."""
    for _ in range(100_000):
        pc.mouse.move(1000, -1000, 100)

    assert pc.mouse.save().dx == pc.mouse.save().dy == 1 << 15


@pytest.mark.parametrize("command", [ENABLE, DISABLE, STREAM, REMOTE])
def test_these_commands_forget_movement(pc, command):
    """Each resets the movement counters."""
    pc.mouse.move(9, 9)
    pc.tell_mouse(command)

    assert pc.tell_mouse(READ) == bytes((ACK, 0x08, 0, 0))


def test_remote_mode_reports_when_asked(pc):
    """Set Remote Mode (F0h), Read Data (EBh)."""
    pc.tell_mouse(ENABLE, REMOTE)
    pc.mouse.move(7, 0)
    silent = pc.packets()

    assert silent == b""
    assert pc.tell_mouse(READ) == bytes((ACK, 0x08, 7, 0))
    assert pc.tell_mouse(STATUS) == bytes((ACK, 0x60, 2, 100))


def test_wrap_mode_echoes_all_but_its_end_and_reset(pc):
    """Set Wrap Mode (EEh), Reset Wrap Mode (ECh)."""
    assert pc.tell_mouse(0xEE, 0x12, 0xE9, 0xEC, 0xF2) == bytes((ACK, 0x12, 0xE9, ACK, ACK, 0))


def test_scaling_doubles_large_movements(pc):
    """Set Scaling 2:1 (E7h): 0 1 1 3 6 9, then twice; Read Data is not scaled."""
    pc.tell_mouse(ENABLE, 0xE7)
    seen = []
    for count in (1, 2, 3, 4, 5, 6, 100):
        pc.mouse.move(count, 0)
        seen.append(pc.packets()[1])
    pc.tell_mouse(REMOTE)
    pc.mouse.move(4, 0)

    assert seen == [1, 1, 3, 6, 9, 12, 200]
    assert pc.tell_mouse(READ)[2] == 4
    assert pc.tell_mouse(STATUS)[1] == 0x70


def test_scaled_movements_fit_their_packets(pc):
    """127 doubled is the most."""
    pc.tell_mouse(ENABLE, 0xE7)
    pc.mouse.move(-200, 0)

    assert pc.packets() == bytes((0x18, 0x100 - 254, 0, 0x18, 0x100 - 146, 0))


def test_status_tells_resolution_and_rate(pc):
    """Status Request (E9h)."""
    pc.tell_mouse(0xE8, 3, RATE, 60)

    assert pc.tell_mouse(STATUS) == bytes((ACK, 0x00, 3, 60))


def test_set_defaults_keeps_the_identity(pc):
    """Set Default (F6h); Linux's psmouse relies on it after the knock."""
    knock(pc, 200, 100, 80)
    pc.tell_mouse(ENABLE, 0xF6)

    assert pc.tell_mouse(0xF2) == bytes((ACK, 3))
    assert pc.tell_mouse(STATUS) == bytes((ACK, 0x00, 2, 100))


def test_resend_repeats_the_last_byte(pc):
    """Resend (FEh)."""
    pc.tell_mouse(0xF2)

    assert pc.tell_mouse(0xFE) == b"\x00"


def test_unknown_commands_are_answered_with_resend(pc):
    """Invalid command."""
    assert pc.tell_mouse(0xE1) == b"\xfe"


def test_a_command_clears_what_waits(pc):
    """A packet that nobody took does not come before ACK."""
    pc.tell_mouse(ENABLE)
    pc.mouse.move(1, 1)

    assert pc.tell_mouse(0xF2) == bytes((ACK, 0))


# -- Intellimouse --


def test_rates_200_100_80_turn_the_wheel_on(pc):
    """Microsoft: identity 3."""
    assert knock(pc, 200, 100, 80) == 3


def test_rates_200_200_80_turn_five_buttons_on_after_the_wheel(pc):
    """Microsoft Intellimouse Explorer: identity 4; not from a plain mouse."""
    plain = knock(pc, 200, 200, 80)
    knock(pc, 200, 100, 80)

    assert (0, 4) == (plain, knock(pc, 200, 200, 80))


@pytest.mark.parametrize("rates", [(100, 80), (200, 100), (200, 80, 100), (200, 100, 60, 80)])
def test_other_rates_change_nothing(pc, rates):
    """The knock is three rates in a row."""
    assert knock(pc, *rates) == 0


def test_the_wheel_is_the_fourth_byte(pc):
    """Intellimouse packet: Z in two's complement, toward the user positive."""
    knock(pc, 200, 100, 80)
    pc.tell_mouse(ENABLE)
    pc.mouse.move(1, 0, 1)
    towards = pc.packets()
    pc.mouse.move(0, 0, -2)

    assert (bytes((0x08, 1, 0, 1)), bytes((0x08, 0, 0, 0xFE))) == (towards, pc.packets())


def test_the_explorers_wheel_is_a_nibble(pc):
    """Intellimouse Explorer packet: bits 4 and 5 are buttons."""
    knock(pc, 200, 100, 80)
    knock(pc, 200, 200, 80)
    pc.tell_mouse(ENABLE)
    pc.mouse.move(0, 0, -1)

    assert pc.packets() == bytes((0x08, 0, 0, 0x0F))


def test_many_wheel_steps_take_several_packets(pc):
    """A packet holds seven."""
    knock(pc, 200, 100, 80)
    pc.tell_mouse(ENABLE)
    pc.mouse.move(0, 0, 10)

    assert pc.packets() == bytes((0x08, 0, 0, 7, 0x08, 0, 0, 3))


def test_a_plain_mouse_forgets_the_wheel(pc):
    """It has none."""
    pc.tell_mouse(ENABLE)
    pc.mouse.move(0, 0, 5)
    pc.packets()

    assert pc.mouse.save().wheel == 0


def test_reset_makes_a_plain_mouse_again(pc):
    """Reset (FFh)."""
    knock(pc, 200, 100, 80)
    pc.tell_mouse(0xFF)

    assert pc.tell_mouse(0xF2) == bytes((ACK, 0))
