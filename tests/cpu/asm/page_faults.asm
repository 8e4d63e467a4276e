; title: page faults: error codes, CR2, WP, supervisor accesses, faults while a gate pushes, A and D bits, large pages
; manual: SDM 3A 4.3, 4.6, 4.7, 4.8
; expect: eax = 0x600d

%include "cpu.inc"
%include "tss.inc"
DIR    equ 0x20000
TABLE  equ 0x21000
PAGE   equ 0x50000              ; the page the tests change
ENTRY  equ TABLE + PAGE / 4096 * 4
P      equ 1
W      equ 2
U      equ 4
A      equ 0x20
D      equ 0x40
HOME   equ 0x50
LDT2   equ SPARE + 8

; PTE bits: give PAGE these
%macro PTE 1.nolist
        mov dword [ENTRY], PAGE + (%1)
        invlpg [PAGE]
%endmacro
; USER_PF error, instruction in ring 3
%macro USER_PF 2+.nolist
        FAULT_AT 14, %1, %%user, {RING3 %%user}
        mov eax, cr2
        CHECK eax, PAGE
        jmp %%done
%%user: %2
        int HOME
%%done:
%endmacro
%macro USER_OK 1.nolist
        mov [f_safe_esp], esp
        mov dword [f_resume], %%done
        RING3 %%user
%%user: %1
        int HOME
%%done:
%endmacro
%macro PF 2+.nolist
        FAULT 14, %1, %2
        mov eax, cr2
        CHECK eax, PAGE
%endmacro

start:  PROTECTED
        GATE HOME, CODE0, home, A_INT32 | DPL3
; 4 MB one to one, all for the user
        mov edi, TABLE
        mov eax, P + W + U
        mov ecx, 1024
.fill:  stosd
        add eax, 4096
        loop .fill
        mov edi, DIR
        mov ecx, 1024
        xor eax, eax
        rep stosd
        mov dword [DIR], TABLE + P + W + U
        mov eax, DIR
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax

; supervisor: not present, then everything but WP
        PTE 0
        PF 0, mov al, [PAGE]
        PF 2, mov [PAGE], al
        PF 2, inc byte [PAGE]
        mov eax, PAGE
        FAULT_AT 14, 0, PAGE, {jmp eax}
        PTE P
        mov al, [PAGE]
        mov [PAGE], al                  ; read-only means nothing without WP
        CHECK [ENTRY], PAGE + P + A + D
        PTE P + U
        mov [PAGE], al
        mov eax, cr0
        or eax, 0x10000
        mov cr0, eax
        PTE P + U
        PF 3, mov [PAGE], al
        PTE P
        PF 3, mov [PAGE], al
        mov al, [PAGE]
        PTE P + W
        mov [PAGE], al

; user: present or not, write, privilege
        PTE 0
        USER_PF U, {mov al, [ss:PAGE]}
        USER_PF U + W, {mov [ss:PAGE], al}
        PTE P + W
        USER_PF U + P, {mov al, [ss:PAGE]}
        USER_PF U + W + P, {mov [ss:PAGE], al}
        PTE P + U
        USER_OK {mov al, [ss:PAGE]}
        USER_PF U + W + P, {mov [ss:PAGE], al}
        PTE P + U + W
        USER_OK {mov [ss:PAGE], al}
; the directory's bits count as well
        and byte [DIR], ~W
        mov eax, cr3
        mov cr3, eax
        ; (the handler's own writes go by supervisor rights: WP off meanwhile)
        mov eax, cr0
        and eax, ~0x10000
        mov cr0, eax
        USER_PF U + W + P, {mov [ss:PAGE], al}
        or byte [DIR], W
        mov eax, cr3
        mov cr3, eax

; A and D are set by reading and writing
        PTE P + U + W
        mov al, [PAGE]
        CHECK [ENTRY], PAGE + P + U + W + A
        mov [PAGE], al
        CHECK [ENTRY], PAGE + P + U + W + A + D

; an access across two pages: CR2 is the first byte that faults
        PTE 0
        FAULT 14, 0, mov eax, [PAGE - 2]
        mov eax, cr2
        CHECK eax, PAGE
        FAULT 14, 2, mov [PAGE + 4096 - 2], eax
        mov eax, cr2
        CHECK eax, PAGE + 4096 - 2

; pushing on a page that is not there changes nothing
        FAULT_AT 14, U + W, push3.at, {RING3 push3}
        CHECK [f_esp], PAGE + 4096

; descriptor tables are read by the supervisor, whoever asks: user mode, LDT on a page without U
        SEGMENT LDT2, 0, 8 * 8 - 1, A_LDT, 0
        mov byte [gdt + LDT2 + 4], PAGE >> 16
        mov ax, LDT2
        lldt ax
        PTE P + W
        mov dword [PAGE + 8], 0x0000ffff
        mov dword [PAGE + 12], 0x0040f300
        USER_OK {call load3}
        PTE 0
        FAULT_AT 14, 0, segment3.at, {RING3 segment3}
        mov eax, cr2
        CHECK eax, PAGE + 8
        PTE P                           ; the accessed bit is set already: nothing is written
        USER_OK {call load3}

; a fault while a gate reads its IDT entry or pushes its frame has supervisor error codes, not ring 3's
        mov dword [tss_esp0], PAGE + 4096
        PTE 0
        GATE 8, SPARE, 0, A_TASK
        SEGMENT SPARE, task_df, 0x67, A_TSS32, 0
        mov dword [task_df_cr3], DIR
        mov dword [task_df_eip], .double
        RING3 user_ud
.double:
        CHECK [esp], 0
        mov eax, cr2
        CHECK eax, PAGE + 4096 - 4
        PASS

user_ud: ud2
load3:  mov ax, 8 + 4 + 3
        mov ds, ax
        ret
segment3:
        mov ax, 8 + 4 + 3
.at:    mov ds, ax
        ud2
push3:  mov esp, PAGE + 4096
.at:    push eax

home:   mov ax, DATA0
        mov ds, ax
        mov es, ax
        mov esp, [f_safe_esp]
        jmp [f_resume]

        bits 16
        align 4
        tss_bare task_df
