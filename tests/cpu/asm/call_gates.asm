; title: call gates: same level, inner level with parameters, conforming targets, both sizes, far returns outward
; manual: SDM 3A 5.8.2 to 5.8.6
; expect: eax = 0x600d

%include "cpu.inc"
%include "tss.inc"
CG_SAME equ SPARE
CG_IN   equ SPARE + 8
CG_IN16 equ SPARE + 16
CG_LOW  equ SPARE + 24
CG_BAD  equ SPARE + 32
CONF    equ SPARE + 40
ABSENT  equ SPARE + 48
CODE1   equ SPARE + 56
DATA1   equ SPARE + 64
HOME    equ 0x50                ; interrupt back to ring 0

start:  PROTECTED
        SEGMENT CONF, 0, 0xffff, A_CONF, G_BYTE
        SEGMENT ABSENT, 0, 0xffff, A_CODE & ~0x80, G_BYTE
        CALLGATE CG_SAME, CODE0, same, 5, A_CALL32
        CALLGATE CG_IN, CODE0, inner, 3, A_CALL32 | DPL3
        CALLGATE CG_IN16, CODE0, inner16, 2, A_CALL16 | DPL3
        CALLGATE CG_LOW, CODE0, inner, 0, A_CALL32
        GATE HOME, CODE0, home, A_INT32 | DPL3

; same privilege: no parameters move; the offset in the instruction is ignored
        call CG_SAME:0x12345678
.back1: CHECK [got_esp], STACK0 - 8
        CHECK [got_eip], .back1
        CHECK [got_cs], CODE0
        jmp CG_SAME:0           ; a jump through it pushes nothing
landed: CHECK esp, STACK0

; inner privilege: SS, ESP, parameters, CS, EIP on the stack of the TSS; RET n drops them on both
        mov [f_safe_esp], esp
        mov dword [f_resume], .home1
        RING3 user1
.home1: CHECK [got_esp], STACK0 - 4 * 7
        CHECK [got_eip], user1_back
        CHECK [got_cs], CODE3
        CHECK [got_args], 0x333
        CHECK [got_args + 4], 0x222
        CHECK [got_args + 8], 0x111
        CHECK [got_args + 12], STACK3 - 12
        CHECK [got_args + 16], DATA3
        CHECK [SCRATCH], STACK3 ; after RET 12
        CHECK [SCRATCH + 4], CODE3
        CHECK [SCRATCH + 8], 0  ; ES held ring 0 data: null now
        CHECK [SCRATCH + 12], DATA3
        CHECK [SCRATCH + 16], 0 ; CPL 0 in the callee

; the same through a 16-bit gate: words
        mov [f_safe_esp], esp
        mov dword [f_resume], .home2
        RING3 user2
.home2: CHECK [got_esp], STACK0 - 2 * 6
        CHECK [got_args], 0x04440555
        CHECK [SCRATCH], STACK3

; conforming code keeps CPL
        CALLGATE CG_BAD, CONF, conforming, 0, A_CALL32 | DPL3
        mov [f_safe_esp], esp
        mov dword [f_resume], .home3
        RING3 user3
.home3: CHECK [SCRATCH], CONF + 3

; checks
        CALLGATE CG_BAD, CODE0, inner, 0, A_CALL32 & ~0x80
        FAULT 11, CG_BAD, call CG_BAD:0
        CALLGATE CG_BAD, 0, inner, 0, A_CALL32
        FAULT 13, 0, call CG_BAD:0
        CALLGATE CG_BAD, DATA0, inner, 0, A_CALL32
        FAULT 13, DATA0, call CG_BAD:0
        CALLGATE CG_BAD, ABSENT, inner, 0, A_CALL32
        FAULT 11, ABSENT, call CG_BAD:0
        CALLGATE CG_BAD, CODE3, inner, 0, A_CALL32
        FAULT 13, CODE3 & ~3, call CG_BAD:0
        FAULT_AT 13, CG_LOW, user_low, {RING3 user_low}     ; CPL above the gate's DPL
        FAULT_AT 13, CODE0, user_jmp, {RING3 user_jmp}      ; JMP may not raise privilege
        CALLGATE CG_BAD, CODE0, inner, 0, A_CALL32 | 0x40
        FAULT 13, CG_BAD, call CG_BAD + 3:0                 ; RPL above the gate's DPL

; direct far transfers
        FAULT 13, CODE3 & ~3, jmp CODE3:landed
        FAULT 13, DATA0, jmp DATA0:landed
        FAULT 13, 0, jmp 0:landed
        FAULT 13, 0x1000, call 0x1000:landed
        FAULT 11, ABSENT, jmp ABSENT:landed
        FAULT 13, CODE0, jmp CODE0 + 3:landed               ; RPL above CPL
        FAULT 13, 0, jmp CODE16:0x10000
        call CONF:conforming_same
        CHECK [SCRATCH], CONF

; a stack of the inner level: limit, selector, presence
        mov dword [tss_esp0], 8
        SEGMENT SPARE + 72, 0, 0x0fff, A_DATA, G_BYTE
        mov dword [tss_esp0 + 4], SPARE + 72
        ; the fault itself needs a good stack: only its handler at privilege 0 has one by a task gate
        GATE 12, TASK_SS, 0, A_TASK
        mov word [gdt + TASK_SS], 0x67
        mov word [gdt + TASK_SS + 2], tss_ss
        mov word [gdt + TASK_SS + 4], A_TSS32 << 8
        mov dword [tss_ss_eip], .ss_fault
        RING3 user1
.ss_fault:
        CHECK [esp], SPARE + 72
        CHECK [tss + 0x20], user1_call  ; the faulting CALL
        CHECK [tss + 0x4c], CODE3
        PASS

TASK_SS equ SPARE + 80

same:   cmp esp, STACK0
        je landed
        mov [got_esp], esp
        pop dword [got_eip]
        pop dword [got_cs]
        sub esp, 8
        retf
inner:  mov [ss:got_esp], esp
        mov eax, [esp]
        mov [ss:got_eip], eax
        mov eax, [esp + 4]
        mov [ss:got_cs], eax
%assign k 0
%rep 5
        mov eax, [esp + 8 + 4 * k]
        mov [ss:got_args + 4 * k], eax
%assign k k + 1
%endrep
        mov eax, cs
        and eax, 3
        mov [ss:SCRATCH + 16], eax
        mov ax, DATA0
        mov es, ax
        retf 12
inner16:
        mov [ss:got_esp], esp
        mov eax, [esp + 4]
        mov [ss:got_args], eax
        o16 retf 4
conforming:
        mov eax, cs
        mov [SCRATCH], eax
        int HOME
conforming_same:
        mov eax, cs
        mov [SCRATCH], eax
        retf
home:   mov ax, DATA0
        mov ds, ax
        mov es, ax
        mov esp, [f_safe_esp]
        jmp [f_resume]

user1:  mov ax, DATA3
        mov ds, ax
        mov fs, ax
        push dword 0x111
        push dword 0x222
        push dword 0x333
user1_call:
        call CG_IN + 3:0
user1_back:
        mov [SCRATCH], esp
        mov eax, cs
        mov [SCRATCH + 4], eax
        mov eax, es
        mov [SCRATCH + 8], eax
        mov eax, fs
        mov [SCRATCH + 12], eax
        int HOME
user2:  mov ax, DATA3
        mov ds, ax
        push word 0x0444
        push word 0x0555
        call CG_IN16:0
        mov [SCRATCH], esp
        int HOME
user3:  mov ax, DATA3
        mov ds, ax
        call CG_BAD:0
user_low:
        call CG_LOW:0
user_jmp:
        jmp CG_IN:0

        bits 16
        align 4
got_esp: dd 0
got_eip: dd 0
got_cs: dd 0
got_args: times 5 dd 0
        tss_bare tss_ss
