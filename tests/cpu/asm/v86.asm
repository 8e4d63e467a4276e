; title: virtual-8086 mode: entry by IRET, interrupts out of it, IOPL, the I/O bitmap, its 64 KB segments
; manual: SDM 3B 20.2, 20.3
; intr: 40
; expect: eax = 0x600d

%include "cpu.inc"
VM   equ 0x20000
HOME equ 0x50

; Into V86 code at a label (below 64 KB, CS 0), flags as given; segment registers hold what 16-bit code wants.
%macro V86 1-2 VM + 2
        push dword 0x4444               ; GS
        push dword 0x3333               ; FS
        push dword 0x2222               ; DS
        push dword 0x1111               ; ES
        push dword 0                    ; SS
        push dword STACK3
        push dword %2
        push dword 0                    ; CS
        push dword %1
        iretd
%endmacro
; VISIT label, flags: V86 code that ends by INT HOME at IOPL 3
%macro VISIT 2.nolist
        mov [f_safe_esp], esp
        mov dword [f_resume], %%back
        V86 %1, %2
%%back:
%endmacro
%macro V86_FAULT 3+.nolist
        FAULT_AT %1, %2, %%user, {V86 %%user}
        jmp %%done
        bits 16
%%user: %3
        bits 32
%%done:
%endmacro

start:  PROTECTED
        GATE HOME, CODE0, home, A_INT32 | DPL3

; entry: nine doublewords; CPL 3; segment values times 16
        VISIT entry, VM + 0x3002
        CHECK [frame_esp], STACK0 - 36
        CHECK [frame], entry_end
        CHECK [frame + 4], 0
        CHECK [frame + 8], VM + 0x3002
        CHECK [frame + 12], STACK3
        CHECK [frame + 16], 0
        CHECK [frame + 20], 0x1111      ; ES
        CHECK [frame + 24], 0x1234      ; DS, changed in V86 mode
        CHECK [frame + 28], 0x3333
        CHECK [frame + 32], 0x4444
        CHECK [SCRATCH], 0x5678         ; by [1000:0] there
        CHECK [nulls], 0                ; DS, ES, FS, GS null in the handler
        CHECK [nulls + 4], 0
        CHECK [inside], 0x3002          ; VM, NT, IF, TF clear

; below IOPL 3: INT n, PUSHF, POPF, CLI, STI, IRET are #GP(0); INT3 and INTO are not
        V86_FAULT 13, 0, int HOME
        V86_FAULT 13, 0, pushf
        V86_FAULT 13, 0, popf
        V86_FAULT 13, 0, cli
        V86_FAULT 13, 0, sti
        V86_FAULT 13, 0, iret
        V86_FAULT 13, 0, o32 iret
        CHECK [f_flags], VM + 0x10002           ; RF is set for faults
        GATE 3, CODE0, home, A_INT32 | DPL3
        VISIT breakpoint, VM + 2
        CHECK [frame], breakpoint_end

; privileged and protected-mode instructions
        V86_FAULT 13, 0, hlt
        V86_FAULT 13, 0, mov eax, cr0
        V86_FAULT 13, 0, clts
        V86_FAULT 13, 0, lgdt [0]
        V86_FAULT 6, NOERR, lldt ax
        V86_FAULT 6, NOERR, sldt ax
        V86_FAULT 6, NOERR, lar ax, ax
        V86_FAULT 6, NOERR, ud2

; limits are 64 KB
        V86_FAULT 13, 0, mov al, [dword 0x10000]
        V86_FAULT 13, 0, mov ax, [dword 0xffff]
        V86_FAULT 12, 0, mov al, [esp + 0x8000]

; PUSHF, POPF, CLI, STI at IOPL 3; IOPL does not change
        VISIT flags, VM + 0x3002
        CHECK [SCRATCH], 0x3202
        CHECK [SCRATCH + 4], 0x3002
        CHECK [SCRATCH + 8], 0x3082

; IRET and far calls work as in real mode
        VISIT real_like, VM + 0x3002
        CHECK [SCRATCH], 0x0c0de

; I/O looks at the bitmap, whatever IOPL is
        mov dword [SCRATCH], 0
        VISIT ports, VM + 0x3002
        CHECK [SCRATCH], 0xff
        or byte [io_map + 2], 0x10
        FAULT_AT 13, 0, port14, {V86 ports, VM + 0x3002}
        and byte [io_map + 2], ~0x10

; a gate to another privilege than 0 is #GP with its selector
        SEGMENT SPARE, 0, 0xffff, A_CONF, G_BYTE
        GATE 0x51, SPARE, home, A_INT32 | DPL3
        FAULT_AT 13, SPARE, gate51, {V86 gate51, VM + 0x3002}
        GATE 0x51, CODE3, home, A_INT32 | DPL3
        FAULT_AT 13, CODE3 & ~3, gate51, {V86 gate51, VM + 0x3002}

; a hardware interrupt leaves V86 mode at once
        GATE 0x40, CODE0, home, A_INT32
        VISIT request, VM + 0x0202
        CHECK [frame + 8], VM + 0x202
        CHECK [frame], request_end

; IRET at CPL 3 cannot enter V86 mode: VM in the image is ignored
        mov [f_safe_esp], esp
        mov dword [f_resume], .from3
        RING3 ring3
.from3: CHECK [frame + 8], 2
        PASS

ring3:  push dword VM + 2
        push dword CODE3
        push dword .next
        iretd
.next:  int HOME

        bits 16
entry:  mov ax, 0x1000
        mov ds, ax
        mov word [0], 0x5678
        mov ax, 0x1234
        mov ds, ax
        int HOME
entry_end:
breakpoint:
        int3
breakpoint_end:
flags:  mov ax, 0
        mov ds, ax
        sti
        pushfd
        pop dword [buffer]
        cli
        pushfd
        pop dword [buffer + 4]
        push word 0x82
        popf
        pushf
        pop word [buffer + 8]
        mov ax, 0x1000
        mov es, ax
        mov eax, [buffer]
        mov [es:0], eax
        mov eax, [buffer + 4]
        mov [es:4], eax
        movzx eax, word [buffer + 8]
        mov [es:8], eax
        push word 0x3002
        popf
        int HOME
real_like:
        pushf
        call 0x100:(.callee - 0x1000)
        mov ax, 0x1000
        mov ds, ax
        movzx ecx, cx
        mov [0], ecx
        int HOME
.callee:
        mov cx, 0xc0de
        iret
ports:  mov ax, 0x1000
        mov ds, ax
port14: in al, 0x14
        mov [0], al
        mov byte [1], 0
        int HOME
gate51: int 0x51
request:
        out 0xe0, al
request_end:
        nop
        ud2
buffer: dd 0, 0, 0
        bits 32

home:   mov [ss:frame_esp], esp
        mov eax, ds
        mov [ss:nulls], ax
        mov eax, es
        mov [ss:nulls + 2], ax
        mov eax, fs
        mov [ss:nulls + 4], ax
        mov eax, gs
        mov [ss:nulls + 6], ax
        mov ax, DATA0
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        pushfd
        pop dword [inside]
        mov esi, esp
        mov edi, frame
        mov ecx, 9
        rep movsd
        mov esp, [f_safe_esp]
        jmp [f_resume]

        align 4
frame:  times 9 dd 0
frame_esp: dd 0
nulls:  dd 0, 0
inside: dd 0
