package scheduler

import "strings"

// token is a part of the expression and its position, in characters from 0.
type token struct {
	text  []rune
	start int
}

func (t token) String() string { return string(t.text) }

// at returns the character at i, or 0 after the end.
func (t token) at(i int) rune {
	if i < len(t.text) {
		return t.text[i]
	}
	return 0
}

// rest returns the part from i on.
func (t token) rest(i int) token { return token{t.text[i:], t.start + i} }

// split splits t at separators; there are no empty parts.
func (t token) split(separators string) []token {
	var pieces []token
	begin := -1
	for i, r := range t.text {
		switch separator := strings.ContainsRune(separators, r); {
		case separator && begin >= 0:
			pieces = append(pieces, token{t.text[begin:i], t.start + begin})
			begin = -1
		case !separator && begin < 0:
			begin = i
		}
	}
	if begin >= 0 {
		pieces = append(pieces, t.rest(begin))
	}
	return pieces
}

// trim removes control characters and blanks from both ends, for example a pasted line end.
func (t token) trim() token {
	begin, end := 0, len(t.text)
	for begin < end && t.text[begin] <= ' ' {
		begin++
	}
	for end > begin && t.text[end-1] <= ' ' {
		end--
	}
	return token{t.text[begin:end], t.start + begin}
}
