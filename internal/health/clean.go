package health

import (
	"reflect"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxText is how long a sentence, or a text that replaces one, may be, in runes.
	MaxText = 1000
	// MaxPart is how long one text from outside may be within a sentence, in runes. The advice follows
	// such a text, and is not cut.
	MaxPart = 400

	// cutMark ends a text that was cut, badMark stands for runes that are not shown.
	cutMark = "…"
	badMark = utf8.RuneError
)

// Clean makes a text from outside safe to show: of a camera, a service, a file. It is one line of valid UTF-8 of at
// most limit runes, and none of them steers a terminal, is invisible, or turns the direction of writing. White space of
// any kind becomes a space; a run of other such runes becomes one U+FFFD.
func Clean(text string, limit int) string {
	if len(text) <= limit && isPlain(text) {
		return text
	}
	var b strings.Builder
	b.Grow(min(len(text), 4*limit))
	runes, bad := 0, false
	for _, r := range text {
		isBad := false
		switch {
		case r == ' ', unicode.In(r, unicode.Zs, unicode.Zl, unicode.Zp), r == '\n', r == '\r', r == '\t':
			r = ' '
		case !unicode.IsGraphic(r), r == badMark, isBlank(r):
			r, isBad = badMark, true
		}
		if isBad && bad {
			continue
		}
		bad = isBad
		if runes++; runes > limit {
			return cut(b.String(), limit) + cutMark
		}
		b.WriteRune(r)
	}
	return b.String()
}

// CleanLines is Clean for a text of several lines, of which it keeps so many at most, each with limit runes.
func CleanLines(text string, limit, lines int) string {
	list := strings.SplitN(text, "\n", lines+1)
	for i, line := range list[:min(len(list), lines)] {
		list[i] = Clean(line, limit)
	}
	if len(list) > lines {
		list[lines] = cutMark
	}
	return strings.Join(list, "\n")
}

// CleanAll cleans every text within a value that is pointed to, such as one that was read from JSON, but not the keys of
// its maps. Texts may be as long as they are.
func CleanAll(value any) { cleanAll(reflect.ValueOf(value)) }

func cleanAll(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			cleanAll(v.Field(i))
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			cleanAll(v.Elem())
		}
	case reflect.String:
		if text := v.String(); v.CanSet() && !isPlain(text) {
			v.SetString(Clean(text, len(text)))
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			cleanAll(v.Index(i))
		}
	case reflect.Map:
		if v.Type().Elem().Kind() == reflect.String {
			for _, key := range v.MapKeys() {
				text := v.MapIndex(key).String()
				v.SetMapIndex(key, reflect.ValueOf(Clean(text, len(text))).Convert(v.Type().Elem()))
			}
		}
	}
}

// isBlank reports whether a rune is shown as nothing although it counts as a letter, a mark or a symbol: fillers of
// Hangul, blank Braille, variation selectors.
func isBlank(r rune) bool {
	switch {
	case r == 0x034F, r == 0x115F, r == 0x1160, r == 0x17B4, r == 0x17B5, r == 0x2800, r == 0x3164, r == 0xFFA0,
		r >= 0x180B && r <= 0x180F, r >= 0xFE00 && r <= 0xFE0F, r >= 0xE0000 && r <= 0xE0FFF:
		return true
	}
	return false
}

// isPlain reports whether a text is printable ASCII, as most are.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// cut makes room for the mark of a text that had limit runes and more.
func cut(text string, limit int) string {
	if limit < 1 {
		return ""
	}
	_, size := utf8.DecodeLastRuneInString(text)
	return text[:len(text)-size]
}

// errorText is that of an error, also of a nil pointer that is one.
func errorText(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = "<nil>"
		}
	}()
	return err.Error()
}
