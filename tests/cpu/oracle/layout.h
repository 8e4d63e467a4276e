/*
 * The records that the oracle process and its Python face exchange, written down once: oracle.c includes this file and
 * layout.py parses it with cffi to derive the numpy dtypes. So: enums and structs of fixed-width members only, no
 * preprocessor directive, and every struct naturally aligned.
 */

enum oracle_size {
    ORACLE_CODE_BASE = 0x20000000,  /* linear address of the 64 KB code area, filled with int3; base of CODE16 */
    ORACLE_CODE_ENTRY = 0x8000,     /* the case's code starts here in the area */
    ORACLE_CODE_MAX = 64,           /* bytes of code in a case */
    ORACLE_WINDOW_BASE = 0x10000000, /* linear address of the data window; nothing is mapped on either side */
    ORACLE_WINDOW_SIZE = 0x10000,
    ORACLE_AREA_SIZE = 0x10000,
    ORACLE_FX_SIZE = 512,
    ORACLE_PATCH_MAX = 16,          /* bytes in one patch */
    ORACLE_SEGMENTS = 16,           /* LDT entries */
    ORACLE_CASES = 4096,            /* capacity of the shared memory, in records */
    ORACLE_PATCHES = 0x100000,
    ORACLE_WINDOWS = 256,
    ORACLE_CHANGES = 0x100000,
};

enum oracle_status {
    ORACLE_DONE = 0,    /* ran to its end: eip is the code's length */
    ORACLE_TRAP = 1,    /* an exception: see signal, trapno, error, cr2; eip is what the exception pushed */
    ORACLE_TIMEOUT = 2, /* stopped after some 10 ms of processor time; the state is that of an arbitrary moment */
    ORACLE_REFUSED = 3, /* the initial state could not be loaded (selector, MXCSR), or a field is out of range */
    ORACLE_CRASHED = 4, /* the oracle process died; nothing else in the record is meaningful */
};

enum oracle_option {
    ORACLE_FX_IN = 1,  /* load fx before the code; without it the state is FNINIT's, MXCSR 1F80h, registers 0 */
    ORACLE_FX_OUT = 2, /* store the FXSAVE image of the end in the result */
};

enum oracle_trapno {
    ORACLE_NO_VECTOR = 255, /* the signal was not made by an exception (SIGSYS: the code made a system call) */
};

struct oracle_case {
    uint32_t gpr[8];      /* eax ecx edx ebx esp ebp esi edi */
    uint32_t eflags;      /* CF PF AF ZF SF DF OF are taken, other bits ignored */
    uint16_t seg[6];      /* es cs ss ds fs gs: selectors */
    uint16_t window;      /* index of the window image that the case starts with */
    uint8_t code_len;     /* the way out of the case is put behind the code */
    uint8_t options;      /* enum oracle_option */
    uint32_t patch_first; /* patches [first, first + count) are written over the window image, in order */
    uint32_t patch_count;
    uint8_t code[64];
    uint8_t fx[512];
};

struct oracle_result {
    uint32_t gpr[8];
    uint32_t eflags;
    int32_t eip;           /* relative to the first byte of the code */
    uint16_t seg[6];
    uint8_t status;        /* enum oracle_status */
    uint8_t signal;        /* Linux signal number, 0 if none */
    uint8_t trapno;        /* vector of the exception; meaningful if signal is not 0 */
    uint8_t code64;        /* 1: the exception hit 64-bit code, the case left its segments through a host selector */
    uint32_t error;        /* error code of the exception */
    uint32_t cr2;          /* meaningful if trapno is 14 */
    uint32_t change_first; /* changes [first, first + count) are the window bytes that differ, by rising offset */
    uint32_t change_count;
    uint32_t reserved[2];
    uint8_t fx[512];
};

struct oracle_patch {
    uint16_t offset;
    uint16_t size;
    uint8_t data[16];
};

struct oracle_change {
    uint16_t offset;
    uint8_t before;
    uint8_t after;
};

struct oracle_segment {
    uint32_t base;
    uint32_t limit;      /* in bytes, or in pages if limit_in_pages */
    uint8_t in_use;
    uint8_t is_32bit;    /* D/B */
    uint8_t contents;    /* 0 data, 1 expand-down data, 2 code, 3 conforming code */
    uint8_t read_only;   /* data: read only; code: execute only */
    uint8_t limit_in_pages;
    uint8_t not_present;
    uint8_t reserved[2];
};

struct oracle_shared {
    uint32_t first;       /* the first case to run */
    uint32_t count;       /* cases up to this index are valid */
    uint32_t done;        /* the case that is running, count at the end; less if changes ran out */
    uint32_t change_used;
    uint32_t patch_count;
    uint32_t window_count;
    uint32_t reserved[10];
    struct oracle_segment segments[16];
    struct oracle_case cases[4096];
    struct oracle_result results[4096];
    struct oracle_patch patches[0x100000];
    struct oracle_change changes[0x100000];
    uint8_t windows[256][0x10000];
};
