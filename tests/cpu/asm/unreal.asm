; title: unreal mode: limits and attributes loaded in protected mode stay after the return to real mode
; manual: SDM 3A 9.9.2
; expect: eax = 0x600d
; expect: [0x123456] = 0x600df00d

%include "cpu.inc"
start:
        REAL_HANDLERS
        mov ebx, 0x123456
        REAL_FAULT 13, mov eax, [ebx]

        lgdt [gdtr]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp CODE16:.protected
.protected:
        mov ax, DATA0
        mov ds, ax
        mov es, ax
        mov ax, DATA16
        mov ss, ax
        mov eax, cr0
        and al, 0xfe
        mov cr0, eax
        jmp 0:.real
.real:  xor ax, ax
        mov ss, ax
        mov ds, ax              ; base changes, limit does not
        mov ebx, 0x123456
        mov dword [ebx], 0x600df00d
        mov ax, 0x100
        mov es, ax
        CHECK [es:ebx - 0x1000], 0x600df00d
        mov esi, 0xffff
        mov ax, [esi]           ; crosses 64 KB without a fault
; the stack kept its 64 KB
        mov bp, 0xffff
        REAL_FAULT 12, mov ax, [bp]
        PASS
