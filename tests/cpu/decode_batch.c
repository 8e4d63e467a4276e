/* decode_batch.c: the engine's decoder over many pieces of code in one call, for test_decoder.py. */
#include "decode.c"
#include "disas.c"

struct decoded {
    uint32_t imm, disp;
    uint16_t op, imm2;
    uint8_t status, len, prefix, reg, rm, base, index, scale, seg, form, unused[2];
};

/* Piece k is the `room` bytes at code + k * room. */
void decode_batch(const uint8_t *code, unsigned room, unsigned count, int bits, uint32_t features, struct decoded *out);
void decode_batch(const uint8_t *code, unsigned room, unsigned count, int bits, uint32_t features, struct decoded *out)
{
    for (unsigned k = 0; k < count; k++) {
        struct insn i;
        enum decode_status status = decode(code + (size_t)k * room, room, bits == 32, features, &i);
        out[k] = (struct decoded){
            .imm = i.imm, .disp = i.disp, .op = i.op, .imm2 = i.imm2, .status = (uint8_t)status, .len = i.len,
            .prefix = i.prefix, .reg = i.reg, .rm = i.rm, .base = i.base, .index = i.index, .scale = i.scale,
            .seg = i.seg, .form = i.form,
        };
    }
}
