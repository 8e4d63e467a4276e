; title: interrupts wait for the instruction after STI, MOV SS and POP SS; HLT wakes; PUSHF sees IF at once
; manual: SDM 3A 6.8.1, 6.8.3; SDM 2, STI, MOV
; intr: 40
; expect: eax = 0x600d

%include "cpu.inc"
%macro REQUEST 0.nolist
        out 0xe0, al
%endmacro

start:  PROTECTED
        GATE 0x40, CODE0, isr, A_INT32

; requested with IF clear: taken after the instruction behind STI
        REQUEST
        nop
        sti
        inc ebp
after1: nop
        CHECK [where], after1
        CHECK ebp, 1
; STI CLI lets nothing through
        cli
        mov dword [where], 0
        REQUEST
        sti
        cli
        nop
        CHECK [where], 0
; STI with IF set already holds nothing off; the request is taken at the next boundary
        sti
after2: nop
        CHECK [where], after2 + 1
; MOV SS and POP SS
        cli
        mov ax, ss
        push ss
        REQUEST
        push dword 0x202
        popfd                           ; no shadow: taken here
after3: CHECK [where], after3
        REQUEST
after4: mov bx, 0
        CHECK [where], after4
        cli
        REQUEST
        sti
        mov ss, ax                      ; in STI's shadow, and makes its own
        inc ebp
after5: nop
        CHECK [where], after5
        cli
        REQUEST
        sti
        pop ss
        inc ebp
after6: nop
        CHECK [where], after6
; MOV DS makes none
        cli
        REQUEST
        sti
        nop
after7: mov ds, ax
        CHECK [where], after7
; HLT in STI's shadow still wakes
        cli
        REQUEST
        sti
        hlt
after8: CHECK [where], after8
; a loop of one block is interrupted
        mov ecx, 100
.spin:  cmp ecx, 50
        jne .next
        REQUEST
.next:  loop .spin
        CHECK [count], 9
        CHECK ecx, 0
; REP string instructions are interruptible, and go on
        cli
        mov esi, start
        mov edi, SCRATCH
        mov ecx, 0x1000
        REQUEST
        sti
        nop
        rep movsb
        CHECK ecx, 0
        CHECK edi, SCRATCH + 0x1000
        PASS

isr:    push eax
        mov eax, [esp + 4]
        mov [where], eax
        inc dword [count]
        pop eax
        iretd

        bits 16
        align 4
where:  dd 0
count:  dd 0
