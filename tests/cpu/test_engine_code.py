"""Self-modifying code, the bounded cache, and code that changes behind the processor's back.

SDM 3A 11.6: P6 processors snoop; a write to an instruction takes effect for the next one fetched (with the jump that
older processors need, which these programs leave out on purpose where the engine promises more).
"""

import pytest
from box import CODE, EAX, EBX, PAGE, Box, P, U, W, asm

from vpcore.engine import Exit


@pytest.fixture
def box():
    return Box()


def test_an_instruction_changed_by_the_one_before_it_runs_changed(box):
    """Same block: the next instruction is the new one."""
    box.run("mov byte [target + 1], 7\ntarget: mov al, 1\nhlt")

    assert box.cpu.gpr[EAX] == 7


def test_an_instruction_further_on_in_the_same_block_runs_changed(box):
    box.run("mov byte [target + 1], 7\nnop\nnop\nmov ebx, 5\ntarget: mov al, 1\nhlt")

    assert (box.cpu.gpr[EAX], box.cpu.gpr[EBX]) == (7, 5)


def test_a_loop_that_changes_its_own_immediate_counts_right(box):
    box.run(
        """
        mov ecx, 100
    again:
        inc dword [target + 1]
    target:
        mov eax, 0
        add ebx, eax
        dec ecx
        jnz again
        hlt"""
    )

    assert box.cpu.gpr[EBX] == sum(range(1, 101))


def test_data_beside_code_on_a_page_can_be_written_without_dropping_it(box):
    """Writes are told apart in granules of 32 bytes."""
    box.run(
        """
        mov ecx, 1000
    again:
        mov [data], ecx
        dec ecx
        jnz again
        hlt
        align 64
    data:
        dd 0"""
    )

    assert box.engine.stats().smc_hits == 0
    assert box.engine.stats().blocks_built <= 3


def test_code_on_another_page_runs_changed_after_a_write(box):
    box.load(asm("mov al, 1\nret", 32, 0x20000), 0x20000)

    box.run("call 0x20000\nmov bl, al\nmov byte [0x20001], 9\ncall 0x20000\nhlt")

    assert (box.cpu.gpr[EBX], box.cpu.gpr[EAX]) == (1, 9)


def test_code_written_through_another_linear_page_runs_changed(box):
    """Caches go by physical address."""
    box.page_32()
    box.map_32(0x00500000, 0x20000)
    box.load(asm("mov al, 1\nret", 32, 0x20000), 0x20000)

    box.run("call 0x20000\nmov bl, al\nmov byte [0x500001], 9\ncall 0x20000\nhlt")

    assert (box.cpu.gpr[EBX], box.cpu.gpr[EAX]) == (1, 9)


def test_a_store_across_pages_into_code_is_seen(box):
    box.load(asm("mov al, 1\nret", 32, 0x21000), 0x21000)

    box.run("call 0x21000\nmov dword [0x20ffe], 0x09b00000\ncall 0x21000\nhlt")

    assert box.cpu.gpr[EAX] == 9


def test_string_stores_into_code_are_seen(box):
    box.load(asm("mov al, 1\nret", 32, 0x20000), 0x20000)
    box.load(asm("mov al, 2\nret", 32, 0x30000), 0x30000)

    box.run("call 0x20000\nmov bl, al\nmov esi, 0x30000\nmov edi, 0x20000\nmov ecx, 3\nrep movsb\ncall 0x20000\nhlt")

    assert (box.cpu.gpr[EBX], box.cpu.gpr[EAX]) == (1, 2)


def test_a_string_store_over_itself_ends_and_then_runs_what_it_wrote(box):
    box.run(
        """
        mov edi, after
        mov ecx, 8
        mov al, 0x43
        rep stosb
    after:
        times 8 nop
        hlt"""
    )

    assert box.cpu.gpr[EBX] == 8


def test_code_changed_by_dma_runs_changed_once_the_host_says_so(box):
    box.load(asm("mov al, 1\nret", 32, 0x20000), 0x20000)
    box.run("call 0x20000\nhlt")
    box.ram[0x20001] = 3

    box.engine.invalidate(0x20001, 1)
    box.run("call 0x20000\nhlt")

    assert box.cpu.gpr[EAX] == 3


def test_code_changed_by_a_device_during_a_store_runs_changed_at_once(box):
    """DMA within the MMIO access of a block that is executing."""
    box.load("mov [0xe0000000], eax\nnop\ntarget: mov al, 1\nhlt")
    at = CODE + 6

    def dma(*_):
        box.ram[at + 1] = 5
        box.engine.invalidate(at, 2)

    box.bus.hook = dma

    box.run(eip=CODE)

    assert box.cpu.gpr[EAX] == 5


@pytest.mark.parametrize("flush", ["invlpg [0x500000]", "mov ecx, cr3\nmov cr3, ecx"], ids=["INVLPG", "MOV CR3"])
def test_a_remapped_page_runs_the_new_code_after_a_flush(box, flush):
    box.page_32()
    box.load(b"\xb0\x01\xc3", 0x20000)
    box.load(b"\xb0\x02\xc3", 0x21000)
    box.map_32(0x00500000, 0x20000)

    box.run(
        f"""
        call 0x500000
        mov bl, al
        mov dword [{box.pte(0x500000)}], {0x21000 | P | W | U}
        {flush}
        call 0x500000
        hlt"""
    )

    assert (box.cpu.gpr[EBX], box.cpu.gpr[EAX]) == (1, 2)


def test_physical_pages_that_the_host_maps_anew_run_the_new_code(box):
    """PAM shadowing: the same address shows other memory."""
    rom = bytearray(PAGE)
    rom[:3] = b"\xb0\x02\xc3"
    box.load(b"\xb0\x01\xc3", 0x20000)
    box.run("call 0x20000\nhlt")

    box.engine.map(0x20000, PAGE, memoryview(rom), None, 2)
    box.run("call 0x20000\nhlt")

    assert box.cpu.gpr[EAX] == 2


def test_a_page_remapped_by_a_device_under_the_executing_block_runs_the_new_code(box):
    """What a firmware does that turns on shadow RAM from within it."""
    shadow = bytearray(PAGE)
    shadow[:] = box.ram[CODE : CODE + PAGE]
    code = asm("out 0x80, al\nmov al, 1\nhlt")
    shadow[: len(code)] = code.replace(b"\xb0\x01", b"\xb0\x02")
    box.bus.hook = lambda *_: box.engine.map(CODE, PAGE, memoryview(shadow), memoryview(shadow), 0)

    box.run("out 0x80, al\nmov al, 1\nhlt")

    assert box.cpu.gpr[EAX] == 2


def test_code_of_the_other_size_at_the_same_address_is_other_code(box):
    """CS.D decides: 66h B8 is MOV AX in 32-bit code and MOV EAX in 16-bit code."""
    box.load(b"\x66\xb8\x34\x12\x90\x90\xf4", 0x20000)
    box.run(eip=0x20000)
    wide = box.cpu.gpr[EAX]
    box.cpu.seg[1].attr &= ~0x400

    box.run(eip=0x20000, eax=0)

    assert (wide, box.cpu.gpr[EAX]) == (0x1234, 0x90901234)


def test_an_instruction_across_pages_is_executed_again_after_its_tail_changed(box):
    box.load(b"\xb8\x01\0", 0x20FFD)
    box.load(b"\0\0\xc3", 0x21000)

    box.run("call 0x20ffd\nmov ebx, eax\nmov byte [0x21001], 0x12\ncall 0x20ffd\nhlt")

    assert (box.cpu.gpr[EBX], box.cpu.gpr[EAX]) == (1, 0x12000001)


def test_an_undefined_instruction_made_valid_runs(box):
    """All bytes that the decoder saw belong to the block that raises #UD."""
    box.load(b"\x0f\xff\xf4", 0x20000)
    box.run(eip=0x20000)
    before = box.fault
    box.load(b"\x0f\xa2\xf4", 0x20000)

    assert box.run(eip=0x20000) == Exit.HALT

    assert before == (6, None)
    assert box.fault is None


def test_the_cache_starts_over_when_it_is_full_and_nothing_is_lost():
    """vp_config.cache_size bounds the memory; a tiny one still runs everything."""
    box = Box(cache_size=16 << 10)
    count = 4000
    body = b"".join(b"\x43\xeb\x00" for _ in range(count)) + b"\xf4"
    box.load(body, 0x100000)

    box.run(eip=0x100000)
    box.run(eip=0x100000)

    assert box.cpu.gpr[EBX] == 2 * count
    assert box.engine.stats().cache_flushes > 2
    assert 0 < box.engine.stats().cache_bytes <= 16 << 10


def test_code_in_no_memory_is_fetched_from_the_bus(box):
    code = asm("mov eax, 0x11223344\nhlt", 32, 0xE0000000)
    box.bus.answers = {0xE0000000 + at: byte for at, byte in enumerate(code)}

    assert box.run(eip=0xE0000000) == Exit.HALT

    assert box.cpu.gpr[EAX] == 0x11223344
