//go:build !amd64 || purego

package aesgcm

import "crypto/cipher"

const best = standard

func newVector(implementation, []byte) cipher.AEAD {
	panic("aesgcm: internal error: there are no vectors here")
}

func clone(a cipher.AEAD) cipher.AEAD { return a } // the standard library's has no state

func forget(cipher.AEAD) {}
