// Package crcline owns the form of a line in a journal: its CRC-32C in eight hexadecimal digits, a space, what it says, and a line feed.
// It must not know what lines say, nor how files are written.
package crcline

import (
	"fmt"
	"hash/crc32"
)

// digits is the length of the checksum.
const digits = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Append adds the line that says body, which has no line feed.
func Append(to, body []byte) []byte {
	return fmt.Appendf(to, "%0*x %s\n", digits, crc32.Checksum(body, castagnoli), body)
}

// Body returns what a line says, of which the line feed was cut off; not ok: its checksum is wrong, or it has another form.
func Body(line []byte) (body []byte, ok bool) {
	if len(line) < digits+1 || line[digits] != ' ' {
		return nil, false
	}
	body = line[digits+1:]
	return body, string(line[:digits]) == fmt.Sprintf("%0*x", digits, crc32.Checksum(body, castagnoli))
}
