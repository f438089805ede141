package receipt

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/big"
	"strings"
	"time"
)

// Receipt is what the service acknowledged as persisted.
type Receipt struct {
	Number   string    // of the fragment, decimal
	Producer time.Time // of its first frame, whole ms
	Acked    time.Time // when the acknowledgement arrived, by the hub's clock; whole seconds
	// Length is the time from its first frame to its last, at most 65.535 s.
	Length time.Duration
	Bytes  int64 // of its cluster, as it was sent
	// Epoch is the last 8 bits of the number of its epoch: the producer timestamps of epochs overlap.
	Epoch uint8
}

// The sizes of what a file holds, in bytes. All numbers are big-endian.
const (
	headSize   = 64
	recordSize = 32
	numberSize = 20 // of a fragment's number: 160 bits, two more than any that was seen
	deltaSize  = 14 // of the difference of two
	perFile    = 8190
	maxFile    = headSize + perFile*recordSize
)

// magic begins each file; its last byte is the version.
const magic = "KVSRCPT\x02"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// base is what the records of a file count from.
type base struct {
	number big.Int
	at     int64 // Unix ms
}

// appendHead appends the start of a file: the magic, the base number, the base time, zeros, and a CRC-32C of all before.
func appendHead(b []byte, from base) []byte {
	start := len(b)
	b = append(b, magic...)
	b = append(b, from.number.FillBytes(make([]byte, numberSize))...)
	b = binary.BigEndian.AppendUint64(b, uint64(from.at))
	b = append(b, make([]byte, headSize-4-(len(b)-start))...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// readHead reads the start of a file; ok is false for one that this version does not read.
func readHead(b []byte) (from base, ok bool) {
	if len(b) < headSize || !bytes.HasPrefix(b, []byte(magic)) ||
		crc32.Checksum(b[:headSize-4], castagnoli) != binary.BigEndian.Uint32(b[headSize-4:]) {
		return from, false
	}
	b = b[len(magic):]
	from.number.SetBytes(b[:numberSize])
	from.at = int64(binary.BigEndian.Uint64(b[numberSize:]))
	return from, from.at >= 0 && from.at < 1<<47
}

// parseNumber reads a fragment's number; ok is false for one that has no place in a file.
func parseNumber(text string) (n *big.Int, ok bool) {
	if text == "" || len(text) > 50 || strings.Trim(text, "0123456789") != "" {
		return nil, false
	}
	n, ok = new(big.Int).SetString(text, 10)
	return n, ok && n.BitLen() <= 8*numberSize && n.String() == text
}

// baseOf returns the base of a file that begins with a receipt.
func baseOf(r Receipt, number *big.Int) (from base) {
	from.number.Set(number)
	from.at = max(0, r.Producer.UnixMilli())
	return from
}

// appendRecord appends a receipt; ok is false when it is too far from the base. A record has the difference to the base of the number
// (14 bytes, two's complement), the epoch (1 byte), the differences of the producer timestamp in ms (5 bytes) and of the time of the
// acknowledgement in s (3 bytes), the length in ms (2 bytes), the size (4 bytes), and the last 24 bits of a CRC-32C of all before.
func (from base) appendRecord(b []byte, r Receipt, number *big.Int) (_ []byte, ok bool) {
	delta := new(big.Int).Sub(number, &from.number)
	producer := r.Producer.UnixMilli() - from.at
	acked := r.Acked.Unix() - from.at/1000
	if delta.BitLen() >= 8*deltaSize || !fits(producer, 40) || !fits(acked, 24) || r.Bytes < 0 || r.Bytes > math.MaxUint32 || r.Length < 0 {
		return b, false
	}
	if delta.Sign() < 0 {
		delta.Add(delta, modulus)
	}
	start := len(b)
	b = append(b, delta.FillBytes(make([]byte, deltaSize))...)
	b = append(b, r.Epoch, byte(producer>>32))
	b = binary.BigEndian.AppendUint32(b, uint32(producer))
	b = append(b, byte(acked>>16), byte(acked>>8), byte(acked))
	b = binary.BigEndian.AppendUint16(b, uint16(min(r.Length.Milliseconds(), math.MaxUint16)))
	b = binary.BigEndian.AppendUint32(b, uint32(r.Bytes))
	sum := crc32.Checksum(b[start:], castagnoli)
	return append(b, byte(sum>>16), byte(sum>>8), byte(sum)), true
}

// modulus and half of it are what differences of numbers are stored by.
var (
	modulus = new(big.Int).Lsh(big.NewInt(1), 8*deltaSize)
	half    = new(big.Int).Lsh(big.NewInt(1), 8*deltaSize-1)
)

// fits reports whether a value is one of that many bits, with a sign.
func fits(value int64, bits int) bool { return value >= -(1<<(bits-1)) && value < 1<<(bits-1) }

// record reads a record; ok is false for a damaged one.
func (from base) record(b []byte) (r Receipt, ok bool) {
	sum := crc32.Checksum(b[:recordSize-3], castagnoli)
	if b[29] != byte(sum>>16) || b[30] != byte(sum>>8) || b[31] != byte(sum) {
		return r, false
	}
	number := new(big.Int).SetBytes(b[:deltaSize])
	if number.Cmp(half) >= 0 {
		number.Sub(number, modulus)
	}
	number.Add(number, &from.number)
	producer := int64(int8(b[15]))<<32 | int64(binary.BigEndian.Uint32(b[16:]))
	acked := int64(int8(b[20]))<<16 | int64(binary.BigEndian.Uint16(b[21:]))
	r = Receipt{
		Number: number.String(), Producer: time.UnixMilli(from.at + producer).UTC(), Acked: time.Unix(from.at/1000+acked, 0).UTC(),
		Length: time.Duration(binary.BigEndian.Uint16(b[23:])) * time.Millisecond, Bytes: int64(binary.BigEndian.Uint32(b[25:])),
		Epoch: b[deltaSize],
	}
	return r, number.Sign() >= 0
}
