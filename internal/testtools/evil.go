package testtools

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// EvilTexts are texts from outside that must never be shown as they came, by their effect on a reader's terminal.
var EvilTexts = map[string]string{
	"clear the screen":   "\x1b[2J\x1b[H",
	"title of a window":  "\x1b]0;pwned\x07",
	"hidden":             "\x1b[8m",
	"eight-bit escapes":  "\u009b2J\u009d0;x\u009c",
	"raw eight-bit":      "\x9b2J",
	"deleted":            "a\x7f\b\b",
	"another line":       "a\r\nb\n\v\fc\u0085d",
	"line separators":    "a\u2028b\u2029c",
	"turned around":      "a\u202egnp.exe\u202c\u2066b\u2069\u200f\u061c",
	"invisible":          "a\u200b\u200c\u200d\u2060\ufeff\u00ad\u180eb",
	"fillers":            "a\u3164\u115f\u2800\uffa0\ufe0f\U000e0041b",
	"not UTF-8":          "a\xff\xfe\xc3(\xed\xa0\x80b",
	"zeros":              "a\x00b",
	"private":            "a\ue000\U000f0000\U0010fffdb",
	"no character":       "a\ufffe\U0001ffffb",
	"long":               strings.Repeat("H264/90000 and ", 1500),
	"long, without end":  strings.Repeat("ö", 70_000),
	"long and dangerous": strings.Repeat("\x1b[2J", 20_000),
}

// Harm says what could harm the reader of a line of at most limit runes; "" for nothing.
func Harm(line string, limit int) string {
	if !utf8.ValidString(line) {
		return "is not UTF-8"
	}
	if n := utf8.RuneCountInString(line); n > limit {
		return fmt.Sprintf("has %d runes, want %d at most", n, limit)
	}
	for _, r := range line {
		if unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) || unicode.IsSpace(r) && r != ' ' {
			return fmt.Sprintf("holds %U", r)
		}
	}
	return ""
}
