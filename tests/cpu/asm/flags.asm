; title: EFLAGS in protected mode: what POPF and IRET at privilege 0 change, ID, AC, RF, VM, PUSHF's image
; manual: SDM 1 3.4.3; SDM 2, POPF, PUSHF, IRET
; expect: eax = 0x600d

%include "cpu.inc"
; POP_AND_SEE value, wanted
%macro POP_AND_SEE 2.nolist
        push dword %1
        popfd
        pushfd
        pop eax
        push dword 2
        popfd
        CHECK eax, %2
%endmacro

start:  PROTECTED
        POP_AND_SEE 0, 2
        POP_AND_SEE 0xfffffeff, 0x00247ed7      ; ID, AC, NT, IOPL, OF..CF; not VM, RF, VIF, VIP, reserved bits
        POP_AND_SEE 0x00200000, 0x00200002
; 16-bit POPF leaves the upper half
        push dword 0x00240002
        popfd
        o16 push word 0x3002
        o16 popf
        pushfd
        pop eax
        CHECK eax, 0x00243002
        push dword 2
        popfd
; PUSHF of 16 bits
        stc
        o16 pushf
        pop ax
        CHECK16 ax, 3
; IRET: VIF and VIP can be set at privilege 0 by IRETD
        push dword 0x00180ed7 & ~0x100
        push dword CODE0
        push dword .next
        iretd
.next:  pushfd
        pop eax
        CHECK eax, 0x00180ed7 & ~0x100
; ... and POPFD clears them
        POP_AND_SEE 2, 2
; LAHF and SAHF
        mov ax, 0xff00
        sahf
        pushfd
        pop ebx
        lahf
        CHECK16 ax, 0xd700
        CHECK ebx, 0xd7
; every flag combination that flags.h must hold: PF and SF with a zero ZF and so on
        mov ecx, 0
.each:  mov eax, ecx
        and eax, 0x8d5
        or eax, 2
        push eax
        popfd
        pushfd
        pop ebx
        cmp eax, ebx
        jne bad
        inc ecx
        cmp ecx, 0x1000
        jb .each
        PASS
bad:    FAIL
