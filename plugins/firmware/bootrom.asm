; bootrom.asm: the option ROM that starts a kernel given to `--kernel`.
;
; SeaBIOS finds it among its ROM files and boots it through the bootstrap entry vector (BIOS Boot Specification 1.01,
; 3.3 PnP expansion header).  It collects the BIOS's memory map (INT 15h E820h) where boot.py expects it, rings the
; doorbell (the device then writes kernel, boot parameters and the register block into RAM), and enters the kernel in
; flat 32-bit protected mode.  bootrom.py keeps the assembled bytes; a test assembles this file and compares.
;
; Segment PARAMS: 0000h entry count (dword), 0010h map entries of 24 bytes; 0E00h register block
; (eax, ebx, ecx, edx, esi, edi, ebp, eip).
        bits 16
        org 0
PARAMS  equ 1100h               ; linear 11000h
REGS    equ 0E00h
DOORBELL equ 51Ch
MAX     equ 120

        db 55h, 0AAh, 1         ; 512 bytes
        jmp near init           ; 3: entry of the ROM scan
        times 1Ah - ($ - $$) db 0
        dw pnp                  ; 1Ah: PnP expansion header
pnp:    db '$PnP', 1, 2         ; revision, length in 16 bytes
        dw 0                    ; next header
        db 0, 0                 ; reserved, checksum (0: SeaBIOS does not check)
        dd 0                    ; device id
        dw vendor, product
        db 0, 0, 0              ; class: none
        db 0                    ; indicators
        dw 0, 0                 ; boot connection, disconnect
        dw boot                 ; bootstrap entry vector
        dw 0, 0
vendor: db 'vpcore', 0
product: db 'kernel', 0
init:   mov ax, 20h             ; a device capable of IPL is here
        retf

boot:   cli
        cld
        mov ax, PARAMS
        mov ds, ax
        mov es, ax
        xor ax, ax
        mov ss, ax
        mov sp, 7C00h
        xor ebx, ebx
        mov [0], ebx
        mov di, 10h
next:   mov dword [di + 20], 1
        mov eax, 0E820h
        mov edx, 534D4150h      ; 'SMAP'
        mov ecx, 24
        int 15h
        jc done
        cmp eax, 534D4150h
        jne done
        add di, 24
        inc dword [0]
        cmp dword [0], MAX
        jae done
        test ebx, ebx
        jnz next
done:   cli
        mov dx, DOORBELL
        out dx, al
        lgdt [cs:gdtr]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp dword 10h:(PARAMS * 16 + 0D00h)   ; boot.py copied `flat` there
gdtr:   dw 4 * 8 - 1
        dd PARAMS * 16 + 0C00h

        bits 32
flat:   mov eax, 18h
        mov ds, eax
        mov es, eax
        mov fs, eax
        mov gs, eax
        mov ss, eax
        mov esp, 7C00h
        mov ebp, PARAMS * 16 + REGS
        mov eax, [ebp]
        mov ebx, [ebp + 4]
        mov ecx, [ebp + 8]
        mov edx, [ebp + 12]
        mov esi, [ebp + 16]
        mov edi, [ebp + 20]
        push dword [ebp + 28]
        mov ebp, [ebp + 24]
        ret
end:
        times 509 - ($ - $$) db 0
        db 0                    ; checksum, filled in by bootrom.py
        dw flat                 ; where the 32-bit part begins: boot.py copies it out
