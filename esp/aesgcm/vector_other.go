//go:build !amd64 || purego

package aesgcm

import "crypto/cipher"

const fast = false

func newVector(_ []byte, standard cipher.AEAD) cipher.AEAD { return standard }

func clone(a cipher.AEAD) cipher.AEAD { return a } // the standard library's has no state
