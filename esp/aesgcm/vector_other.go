//go:build !amd64 || purego

package aesgcm

import "crypto/cipher"

const fast = false

func newVector(_ []byte, standard cipher.AEAD) cipher.AEAD { return standard }
