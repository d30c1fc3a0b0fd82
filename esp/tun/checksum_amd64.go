//go:build !purego

package tun

import "golang.org/x/sys/cpu"

// wide reports whether the processor has what sumWide uses.
var wide = cpu.X86.HasAVX2

// sumWide returns the sum of the n bytes at p as little-endian numbers of 32
// bits; n is a multiple of 64, and not 0.
//
//go:noescape
func sumWide(p *byte, n int) uint64
