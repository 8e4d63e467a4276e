; title: debug registers: instruction, data and I/O breakpoints, RF, GD, DE, LEN, task-local enables
; manual: SDM 3B 17.2, 17.3
; expect: eax = 0x600d

%include "cpu.inc"
L0 equ 1
G0 equ 2
L1 equ 4
WRITE equ 1
IO    equ 2
RW    equ 3
; DR7 for breakpoint 0: type, bytes - 1
%define BP0(type, len) (L0 | (type) << 16 | (len) << 18)
%macro DR7 1.nolist
        mov eax, %1
        mov dr7, eax
%endmacro
%macro NO_DR6 0.nolist
        xor eax, eax
        mov dr6, eax
%endmacro
; TRAPPED address, DR6 bits: one trap since the last time, with that return address
%macro TRAPPED 2.nolist
        CHECK [count], 1
        CHECK [where], %1
        CHECK [bits6], %2
        mov dword [count], 0
%endmacro
%macro QUIET 0.nolist
        CHECK [count], 0
%endmacro

start:  PROTECTED
        GATE 1, CODE0, handler, A_INT32
; reading: DR4 and DR5 alias DR6 and DR7 without CR4.DE
        mov eax, 0x12345678
        mov dr3, eax
        mov ebx, dr3
        CHECK ebx, 0x12345678
        mov eax, -1
        mov dr6, eax
        mov ebx, dr6
        CHECK ebx, 0xffffefff
        NO_DR6
        mov ebx, dr4
        CHECK ebx, 0xffff0ff0
        mov ebx, dr5
        CHECK ebx, 0x400
        mov eax, cr4
        or eax, 8
        mov cr4, eax
        FAULT 6, NOERR, {mov eax, dr4}
        FAULT 6, NOERR, {mov dr5, eax}

; instruction breakpoint: a fault before it; the handler sets RF in the image to get past
        mov eax, bp1
        mov dr0, eax
        mov dword [set_rf], 0x10000
        DR7 BP0(0, 0)
        mov ebp, 0
bp1:    inc ebp
        CHECK ebp, 1
        TRAPPED bp1, 1
        CHECK [image], 2                ; RF clear in the image
; twice: RF covers one instruction only
        mov ecx, 3
        mov eax, .loop
        mov dr0, eax
.loop:  dec ecx
        jnz .loop
        CHECK [count], 3
        mov dword [count], 0
        mov dword [set_rf], 0
; disabled
        DR7 0
        mov ecx, 1
        mov eax, .here
        mov dr0, eax
.here:  nop
        QUIET

; data, writing: a trap after the instruction
        mov eax, SCRATCH + 4
        mov dr0, eax
        DR7 BP0(WRITE, 3)
        mov eax, [SCRATCH + 4]
        QUIET
        mov [SCRATCH + 4], eax
w1:     TRAPPED w1, 1
        mov byte [SCRATCH + 7], 0
w2:     TRAPPED w2, 1
        mov byte [SCRATCH + 8], 0
        mov byte [SCRATCH + 3], 0
        QUIET
        mov dword [SCRATCH + 1], 0      ; touches its first byte
w3:     TRAPPED w3, 1
        inc dword [SCRATCH + 4]
w4:     TRAPPED w4, 1
        mov edi, SCRATCH
        mov eax, 0
        mov ecx, 2
        rep stosd
w5:     TRAPPED w5, 1
        mov esp, SCRATCH + 8
        push eax
w6:     mov esp, STACK0
        TRAPPED w6, 1
; reading or writing, one byte, second register
        mov eax, SCRATCH + 0x21
        mov dr1, eax
        DR7 L1 | RW << 20
        mov al, [SCRATCH + 0x21]
r1:     TRAPPED r1, 2
        mov al, [SCRATCH + 0x20]
        QUIET
        mov ax, [SCRATCH + 0x20]
r2:     TRAPPED r2, 2
        mov byte [SCRATCH + 0x21], 1
r3:     TRAPPED r3, 2
; MOV SS holds a data breakpoint until the next instruction is done
        mov word [SCRATCH + 0x21], DATA0
r4:     TRAPPED r4, 2
        mov ss, [SCRATCH + 0x21]
        nop
r5:     TRAPPED r5, 2

; I/O (with CR4.DE)
        mov eax, 0x80
        mov dr0, eax
        DR7 BP0(IO, 0)
        out 0x80, al
o1:     TRAPPED o1, 1
        in al, 0x80
o2:     TRAPPED o2, 1
        in al, 0x81
        QUIET
        in ax, 0x7f
o3:     TRAPPED o3, 1

; GD: any access to a debug register faults before it, with BD, and is cleared
        DR7 0x2000
        mov dword [f_resume], 0
g1:     mov ebx, dr0
        TRAPPED g1, 0x2000
        CHECK ebx, 0x80                 ; went through after the handler
        mov ebx, dr7
        CHECK ebx, 0x400
        QUIET
; ICEBP is vector 1 with no bit of DR6
        db 0xf1
c1:     TRAPPED c1, 0
        PASS

handler:
        push eax
        mov eax, [esp + 4]
        mov [where], eax
        mov eax, [esp + 12]
        and eax, 0x1f702
        mov [image], eax
        mov eax, [set_rf]
        or [esp + 12], eax
        inc dword [count]
        mov eax, dr6
        and eax, 0xf00f
        mov [bits6], eax
        xor eax, eax
        mov dr6, eax
        pop eax
        iretd

        bits 16
        align 4
where:  dd 0
image:  dd 0
count:  dd 0
bits6:  dd 0
set_rf: dd 0
