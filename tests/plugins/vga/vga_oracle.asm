; Boot sector that runs a script against a PC's video hardware, so that two machines can be compared.
; The script is the 127 sectors after this one: 8-byte steps of kind (byte), 0, a (word), b (dword).
;   0 end    1 int 10h, AX = a, BX = low b, CX = high b    2 out byte a, low b    3 out word a, low b
;   4 write byte: segment a, offset low b, value high b    5 read byte: segment a, offset low b, to port E9h
;   6 in byte a, to port E9h
; At the end it sends "\0END" to port E9h and stops.
bits 16
org 0x7c00
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        mov si, packet
        mov ah, 0x42
        int 0x13
        mov ax, 0x1000
        mov ds, ax
        xor si, si
next:   mov al, [si]
        mov dx, [si+2]
        mov bx, [si+4]
        mov cx, [si+6]
        add si, 8
        cmp al, 1
        je  bios
        jb  done
        cmp al, 2
        je  outb
        cmp al, 3
        je  outw
        cmp al, 6
        je  inb
        mov es, dx
        cmp al, 4
        je  store
        mov al, [es:bx]
send:   out 0xe9, al
        jmp next
store:  mov [es:bx], cl
        jmp next
inb:    in  al, dx
        jmp send
outb:   mov al, bl
        out dx, al
        jmp next
outw:   mov ax, bx
        out dx, ax
        jmp next
bios:   mov ax, dx
        push si
        push ds
        int 0x10
        pop ds
        pop si
        jmp next
done:   mov cx, 4
        xor ax, ax
        mov ds, ax
        mov si, word_end
.loop:  lodsb
        out 0xe9, al
        loop .loop
stop:   cli
        hlt
        jmp stop
word_end: db 0, "END"
packet: db 16, 0
        dw 127, 0, 0x1000
        dq 1
        times 510-($-$$) db 0
        dw 0xaa55
