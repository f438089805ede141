// Package crc has arithmetic of CRC-32 checksums (IEEE). It must not know what they are of.
package crc

import "hash/crc32"

// Shift returns what a difference of two checksums of the same length becomes when the same n bytes follow both: the
// product with x to the power of 8n, in the field of the CRC's polynomial, whose bit 31 is that of x to the power of 0.
func Shift(difference uint32, n int64) uint32 {
	const one, toThe8th = 1 << 31, 1 << 23
	power := uint32(one)
	for square := uint32(toThe8th); n > 0; n >>= 1 {
		if n&1 == 1 {
			power = product(power, square)
		}
		square = product(square, square)
	}
	return product(difference, power)
}

// product multiplies in the field of the CRC's polynomial.
func product(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		if a>>31 == 1 {
			product ^= b
		}
		carry := b & 1
		b = b>>1 ^ carry*crc32.IEEE
	}
	return product
}
