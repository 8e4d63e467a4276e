; title: double faults: two contributory faults, a page fault and another; what is handled in turn instead
; manual: SDM 3A 6.15, interrupt 8, table 6-5
; expect: eax = 0x600d

%include "cpu.inc"
%include "tss.inc"
DIR    equ 0x20000
TABLE  equ 0x21000
PAGE   equ 0x50000
ABSENT equ SPARE

start:  PROTECTED
        SEGMENT ABSENT, 0, 0xffff, A_CODE & ~0x80, G_BYTE
        GATE 8, CODE0, trap_8, A_INT32

; contributory + contributory: #DE (0) whose handler is absent: #NP: #DF, error code 0, EIP of the first
        GATE 0, ABSENT, 0, A_INT32
        xor ecx, ecx
        FAULT 8, 0, div ecx
        GATE 13, ABSENT, 0, A_INT32
        FAULT 8, 0, {mov [cs:0], eax}
; benign + contributory: the second in turn
        GATE 6, ABSENT, 0, A_INT32
        FAULT 11, ABSENT + 1, ud2
        GATE 13, CODE0, trap_13, A_INT32
; contributory, then benign, is not looked at; INT n is benign
        GATE 0x40, ABSENT, 0, A_INT32
        FAULT 11, ABSENT, int 0x40

; paging
        mov edi, TABLE
        mov eax, 3
        mov ecx, 1024
.fill:  stosd
        add eax, 4096
        loop .fill
        mov dword [DIR], TABLE + 3
        mov eax, DIR
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        mov dword [TABLE + PAGE / 4096 * 4], 0

; page fault + contributory
        GATE 14, ABSENT, 0, A_INT32
        FAULT 8, 0, {mov al, [PAGE]}
        mov eax, cr2
        CHECK eax, PAGE
; contributory + page fault: the page fault in turn.  The IDT begins on the page that is not there: 0 to 5 are
; unreachable, 14 is not
        GATE 14, CODE0, trap_14, A_INT32
        mov esi, idt + 6 * 8
        mov edi, PAGE + 4096
        mov ecx, 250 * 2
        rep movsd
        lidt [split_idtr]
        xor ecx, ecx
        FAULT 14, 0, div ecx
        mov eax, cr2
        CHECK eax, PAGE + 4096 - 6 * 8
        lidt [idtr]
; page fault + page fault
        mov dword [f_resume], 0
        mov esp, PAGE + 16              ; 16 bytes of stack on the absent page: the push faults
        GATE 8, T_DF, 0, A_TASK
        SEGMENT T_DF, task_df, 0x67, A_TSS32, 0
        mov dword [task_df_cr3], DIR
        mov dword [task_df_eip], double
second: mov al, [PAGE + 8]
        FAIL
double:
        CHECK [esp], 0
        CHECK [tss + 0x20], second
        CHECK [tss + 0x38], PAGE + 16   ; ESP of the first fault
        str ax
        CHECK16 ax, T_DF
        PASS

T_DF equ SPARE + 8

        bits 16
        align 4
split_idtr: dw 256 * 8 - 1
        dd PAGE + 4096 - 6 * 8
        tss_bare task_df
