; title: ENTER, LEAVE, PUSHA, POPA, PUSH and POP of ESP and through ESP
; manual: SDM 2, ENTER, LEAVE, PUSHA, POP
; expect: eax = 0x600d

%include "cpu.inc"
start:  PROTECTED
; ENTER without nesting
        mov ebp, 0x11111111
        enter 0x20, 0
        CHECK ebp, STACK0 - 4
        CHECK esp, STACK0 - 0x24
        CHECK [ebp], 0x11111111
        leave
        CHECK ebp, 0x11111111
        CHECK esp, STACK0

; level 1 pushes the new frame pointer, level 3 copies two of the old display first
        enter 0, 1
        CHECK [esp], STACK0 - 4
        leave
        mov ebp, SCRATCH + 0x100
        mov dword [SCRATCH + 0xfc], 0xaaaa
        mov dword [SCRATCH + 0xf8], 0xbbbb
        enter 8, 3
        CHECK ebp, STACK0 - 4
        CHECK esp, STACK0 - 4 - 12 - 8
        CHECK [ebp], SCRATCH + 0x100
        CHECK [ebp - 4], 0xaaaa
        CHECK [ebp - 8], 0xbbbb
        CHECK [ebp - 12], STACK0 - 4
        leave
; level counts modulo 32
        enter 0, 32
        CHECK esp, STACK0 - 4
        leave

; the last byte of the frame must be writable: #SS, registers unchanged
        SEGMENT SPARE, 0, 0xdfff, A_DOWN, G_BYTE    ; valid above DFFFh
        mov ax, SPARE
        mov ss, ax
        mov ebp, 0x22222222
        FAULT 12, 0, enter 0x2000, 0
        CHECK ebp, 0x22222222
        CHECK esp, STACK0
        mov ax, DATA0
        mov ss, ax

; 16-bit ENTER on a 32-bit stack touches BP only
        mov ebp, 0x33334444
        o16 enter 4, 0
        CHECK ebp, 0x33330000 + STACK0 - 2
        CHECK esp, STACK0 - 6
        mov ebp, STACK0 - 2     ; LEAVE takes all of EBP on a 32-bit stack
        o16 leave
        CHECK esp, STACK0
        CHECK ebp, 0x4444

; PUSHA stores ESP as it was; POPA skips it
        mov eax, 1
        mov ecx, 2
        mov edx, 3
        mov ebx, 4
        mov ebp, 5
        mov esi, 6
        mov edi, 7
        pusha
        CHECK [esp], 7
        CHECK [esp + 12], STACK0
        CHECK [esp + 28], 1
        mov dword [esp + 12], 0
        mov dword [esp + 28], 0x77
        popa
        CHECK esp, STACK0
        CHECK eax, 0x77
        CHECK edi, 7

; PUSH ESP, POP ESP, POP [ESP]
        push esp
        CHECK [esp], STACK0
        pop esp
        CHECK esp, STACK0
        push dword 0x1234
        push dword 0x5678
        pop dword [esp]         ; the address uses ESP after the pop
        CHECK [esp], 0x5678
        CHECK esp, STACK0 - 4
        pop eax

; a 16-bit stack wraps SP and leaves the upper half
        mov ax, DATA16
        mov ss, ax
        mov esp, 0x55550000
        push eax
        mov ebx, esp
        mov ax, DATA0
        mov ss, ax
        mov esp, STACK0
        CHECK ebx, 0x5555fffc

; segment registers
        push ds
        CHECK16 [esp], DATA0
        pop es
        push fs
        pop gs
        CHECK esp, STACK0
        PASS
