//go:build amd64 && !purego

#include "textflag.h"
#include "state_amd64.h"

// What a key needs once. It takes vectors of 128 bits, which every processor has
// that has longer ones.

// Reverses the bytes of a block.
DATA reverse<>+0(SB)/8, $0x08090a0b0c0d0e0f
DATA reverse<>+8(SB)/8, $0x0001020304050607
GLOBL reverse<>(SB), RODATA|NOPTR, $16

// x^128 + x^127 + x^126 + x^121 + 1, the polynomial of GHASH with its bits
// reversed, without its highest term.
DATA poly<>+0(SB)/8, $1
DATA poly<>+8(SB)/8, $0xc200000000000000
GLOBL poly<>(SB), RODATA|NOPTR, $16

// func encryptBlock(s *state, block *[16]byte)
TEXT ·encryptBlock(SB), NOSPLIT, $0-16
	MOVQ s+0(FP), AX
	MOVQ block+8(FP), DI
	MOVQ ROUNDS(AX), R8
	VMOVDQU (DI), X0
	VPXOR (KEYS+0)(AX), X0, X0
	CMPQ R8, $12
	JB block10
	JE block12
	VAESENC (KEYS+16)(AX), X0, X0
	VAESENC (KEYS+32)(AX), X0, X0
block12:
	VAESENC (KEYS+48)(AX), X0, X0
	VAESENC (KEYS+64)(AX), X0, X0
block10:
	VAESENC (KEYS+80)(AX), X0, X0
	VAESENC (KEYS+96)(AX), X0, X0
	VAESENC (KEYS+112)(AX), X0, X0
	VAESENC (KEYS+128)(AX), X0, X0
	VAESENC (KEYS+144)(AX), X0, X0
	VAESENC (KEYS+160)(AX), X0, X0
	VAESENC (KEYS+176)(AX), X0, X0
	VAESENC (KEYS+192)(AX), X0, X0
	VAESENC (KEYS+208)(AX), X0, X0
	VAESENCLAST (KEYS+224)(AX), X0, X0
	VMOVDQU X0, (DI)
	FORGET
	RET

// func times(s *state, h *[16]byte)
TEXT ·times(SB), NOSPLIT, $0-16
	MOVQ s+0(FP), AX
	MOVQ h+8(FP), DI
	VMOVDQU poly<>(SB), X6
	VMOVDQU (DI), X7
	VPSHUFB reverse<>(SB), X7, X7

	// Times x: a shift to the left by one bit, and the polynomial where a bit
	// falls out.
	VPSRLQ $63, X7, X8
	VPSLLDQ $8, X8, X9
	VPSLLQ $1, X7, X7
	VPOR X9, X7, X7
	VPSHUFD $0xaa, X8, X8
	VPXOR X9, X9, X9
	VPSUBD X8, X9, X8
	VPAND X6, X8, X8
	VPXOR X8, X7, X7

	VMOVDQU X7, H1(AX)
	VMOVDQU X7, X15
	LEAQ H1(AX), BX
	MOVQ $16, CX

power:
	// The product: low, middle, high in X8 to X10.
	VPCLMULQDQ $0x00, X15, X7, X8
	VPCLMULQDQ $0x01, X15, X7, X9
	VPCLMULQDQ $0x10, X15, X7, X12
	VPCLMULQDQ $0x11, X15, X7, X10
	VPXOR X12, X9, X9
	// Each of two steps clears 64 bits at the low end.
	VPCLMULQDQ $0x10, X6, X8, X12
	VPSHUFD $0x4e, X8, X8
	VPXOR X12, X9, X9
	VPXOR X8, X9, X9
	VPCLMULQDQ $0x10, X6, X9, X12
	VPSHUFD $0x4e, X9, X9
	VPXOR X12, X10, X10
	VPXOR X9, X10, X7
	SUBQ $16, BX
	VMOVDQU X7, (BX)
	DECQ CX
	JNE power
	FORGET
	RET

// func substitute(w uint32) uint32
TEXT ·substitute(SB), NOSPLIT, $0-12
	MOVL w+0(FP), AX
	MOVQ AX, X0
	PSHUFD $0, X0, X0
	PXOR X1, X1
	AESENCLAST X1, X0 // the same word four times: ShiftRows changes nothing
	MOVQ X0, AX
	PXOR X0, X0
	MOVL AX, ret+8(FP)
	RET

// func cpuid(eax, ecx uint32) (a, b, c, d uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-24
	MOVL eax+0(FP), AX
	MOVL ecx+4(FP), CX
	CPUID
	MOVL AX, a+8(FP)
	MOVL BX, b+12(FP)
	MOVL CX, c+16(FP)
	MOVL DX, d+20(FP)
	RET

// func xgetbv() (low uint32)
TEXT ·xgetbv(SB), NOSPLIT, $0-4
	XORL CX, CX
	XGETBV
	MOVL AX, low+0(FP)
	RET
