; title: ring 3: privileged instructions, IOPL, POPF, far returns and IRET outward, dropped segments
; manual: SDM 3A 5.9, 5.8.6; SDM 1 18.5; SDM 2, POPF, IRET, RET
; expect: eax = 0x600d

%include "cpu.inc"
CONF  equ SPARE
HOME  equ 0x50

; USER vector, error, instruction: faults in ring 3 at itself
%macro USER 3+.nolist
        FAULT_AT %1, %2, %%user, {RING3 %%user}
        jmp %%done
%%user: %3
        int HOME
%%done:
%endmacro

; VISIT label, flags: run code in ring 3 that ends by INT HOME
%macro VISIT 2.nolist
        mov [f_safe_esp], esp
        mov dword [f_resume], %%back
        RING3 %1, %2
%%back:
%endmacro

start:  PROTECTED
        GATE HOME, CODE0, home, A_INT32 | DPL3
        SEGMENT CONF, 0, 0xffff, A_CONF, G_BYTE

; CPL 0 only: #GP(0)
        USER 13, 0, hlt
        USER 13, 0, clts
        USER 13, 0, invd
        USER 13, 0, wbinvd
        USER 13, 0, mov eax, cr0
        USER 13, 0, mov cr3, eax
        USER 13, 0, mov eax, dr0
        USER 13, 0, mov dr7, eax
        USER 13, 0, lgdt [cs:gdtr]
        USER 13, 0, lidt [cs:idtr]
        USER 13, 0, lmsw ax
        USER 13, 0, lldt ax
        USER 13, 0, ltr ax
        USER 13, 0, invlpg [cs:0]
        USER 13, 0, rdmsr
        USER 13, 0, wrmsr
        USER 13, 0, sysexit

; IOPL-sensitive: #GP(0) while CPL > IOPL
        USER 13, 0, cli
        USER 13, 0, sti
        VISIT cli_sti, 0x3002
        CHECK [seen], 0x3202
        CHECK [seen + 4], 0x3002

; the I/O bitmap: ports 0 to FFh are free; an access that touches one beyond the TSS limit is not
        VISIT io_free, 2
        CHECK [seen], 0xffffffff
        mov edx, 0x108
        USER 13, 0, in al, dx
        mov edx, 0x100
        USER 13, 0, in al, dx
        mov edx, 0xff
        USER 13, 0, in ax, dx
        mov edx, 0xfd
        USER 13, 0, out dx, eax
        or byte [io_map + 2], 0x10              ; port 14h
        USER 13, 0, in al, 0x14
        USER 13, 0, in eax, 0x11
        VISIT io_free, 2
        CHECK [seen], 0xffffffff
        mov word [tss + 0x66], 0x1000           ; no bitmap at all
        USER 13, 0, in al, 0x10
        mov word [tss + 0x66], io_map - tss

; POPF: IOPL changes at CPL 0, IF at CPL <= IOPL, silently
        VISIT popf_user, 0x0002
        CHECK [seen], 0x0cd7
        VISIT popf_user, 0x3002
        CHECK [seen], 0x3ed7
        push dword 0x3202
        popfd
        pushfd
        pop eax
        CHECK eax, 0x3202
        push dword 2
        popfd

; IRET in ring 3 may not raise IOPL or IF
        VISIT iret_user, 0x0002
        CHECK [seen], 2

; outward returns null what ring 3 may not use
        mov ax, DATA3
        mov fs, ax
        mov ax, CONF
        mov gs, ax
        mov [f_safe_esp], esp
        mov dword [f_resume], .back
        push dword DATA3
        push dword STACK3
        push dword CODE3
        push dword look
        retf
.back:  CHECK [seen], 0                 ; DS was ring 0 data
        CHECK [seen + 4], DATA3
        CHECK [seen + 8], CONF
        CHECK [seen + 12], STACK3

; checks of outward returns
        push dword DATA3
        push dword STACK3
        push dword CODE3
        push dword look
        mov dword [esp + 12], 0
        FAULT 13, 0, retf
        mov dword [esp + 12], DATA0
        FAULT 13, DATA0, retf
        mov dword [esp + 12], DATA3 & ~3
        FAULT 13, DATA3 & ~3, retf
        mov dword [esp + 12], DATA3
        mov dword [esp + 4], 0
        FAULT 13, 0, retf
        mov dword [esp + 4], CODE3 & ~3
        FAULT 13, CODE3 & ~3, retf      ; RPL 0, DPL 3
        mov dword [esp + 4], CODE0 + 3
        FAULT 13, CODE0, retf
        mov dword [esp + 4], DATA3
        FAULT 13, DATA3 & ~3, retf
        CHECK esp, STACK0 - 16
        mov esp, STACK0
        FAULT_AT 13, CODE0, inward_ret, {RING3 inward}
        PASS

inward: push dword CODE0                        ; a return never goes inward
        push dword 0
inward_ret:
        retf

cli_sti:
        sti
        pushfd
        pop ecx
        cli
        pushfd
        pop edx
        int HOME
io_free:
        mov ecx, -1
        xor eax, eax
        in eax, 0x10
        mov ecx, eax
        int HOME
popf_user:
        push dword 0x3ed7
        popfd
        pushfd
        pop ecx
        int HOME
iret_user:
        push dword 0x3202
        push dword CODE3
        push dword .next
        iretd
.next:  pushfd
        pop ecx
        int HOME
look:   mov ecx, ds
        mov edx, fs
        mov ebx, gs
        mov esi, esp
        int HOME

home:   mov ax, DATA0
        mov ds, ax
        mov es, ax
        mov [seen], ecx
        mov [seen + 4], edx
        mov [seen + 8], ebx
        mov [seen + 12], esi
        mov esp, [f_safe_esp]
        jmp [f_resume]

        align 4
seen:   times 4 dd 0
