"""Machines share nothing: two of them in one process, by turns."""

from vpcore.machine import Machine

COUNTER = """
    mov cx, 200
again:
    mov dx, 0x3f8
    mov al, [0x500]
    inc byte [0x500]
    and al, 0x3f
    add al, 0x20
    out dx, al
sent:
    mov dx, 0x3fd       ; line status: the transmitter is empty
    in al, dx
    test al, 0x40
    jz sent
    loop again
"""


def test_two_machines_in_one_process_run_by_turns(write_machine):
    machine = write_machine(COUNTER, '[machine]\nclock = "icount"\n[[device]]\nname = "com1"\nline_speed = true\n')
    with Machine.load(machine, serial="buffer") as one, Machine.load(machine, serial="buffer", memory="16M") as two:
        turns = 0
        while not (one.is_off and two.is_off):
            for vm in (one, two):
                vm.run(until=iter((False, True)).__next__, timeout=60)
            turns += 1

        texts = [vm.serial[0].text for vm in (one, two)]

    assert turns > 1
    assert texts == ["".join(chr(0x20 + (number & 0x3F)) for number in range(200))] * 2
