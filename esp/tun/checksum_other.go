//go:build !amd64 || purego

package tun

var wide = false

func sumWide(*byte, int) uint64 { panic("tun: internal error: no vectors") }
