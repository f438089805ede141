package scheduler

import (
	"math"
	"unicode"
)

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

// digits reads the decimal digits of t from i on, which follow those already in n. It returns the number, the position after
// it, and whether it is in the range of an int of Java.
func digits(t token, i int, n int64) (value int64, end int, ok bool) {
	for ; isDigit(t.at(i)); i++ {
		if n = n*10 + int64(t.at(i)-'0'); n > math.MaxInt32 {
			return 0, i, false
		}
	}
	return n, i, true
}

// leadingInt reads a number of t at i that has at least one digit. The first digit may be one of any script, the others may
// not.
func leadingInt(t token, i int) (value int64, end int, ok bool) {
	first, ok := digitValue(t.at(i))
	if !ok {
		return 0, i, false
	}
	return digits(t, i+1, first)
}

// digitValue returns the value of a decimal digit of any script in the basic plane.
func digitValue(r rune) (int64, bool) {
	if isDigit(r) {
		return int64(r - '0'), true
	}
	for _, block := range unicode.Nd.R16 {
		if lo, hi := rune(block.Lo), rune(block.Hi); r >= lo && r <= hi {
			return int64((r - lo) % 10), true
		}
	}
	return 0, false
}

// javaInt parses the complete text as Java's Integer.parseInt does: with an optional sign.
func javaInt(text []rune) (int64, bool) {
	sign := int64(1)
	if len(text) > 1 && (text[0] == '-' || text[0] == '+') {
		if text[0] == '-' {
			sign = -1
		}
		text = text[1:]
	}
	n := int64(0)
	for _, r := range text {
		v, ok := digitValue(r)
		if n = n*10 + v; !ok || n > math.MaxInt32+1 {
			return 0, false
		}
	}
	n *= sign
	return n, len(text) > 0 && n <= math.MaxInt32
}
