package script

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// readAll is io.ReadFull, but accepts less.
func readAll(r io.Reader, to []byte) (int, error) {
	n, err := io.ReadFull(r, to)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// split splits a line into words at blanks; a word in quotes may contain some.
func split(text string) (words []string, err error) {
	for {
		text = strings.TrimLeft(text, " \t")
		if text == "" {
			return words, nil
		}
		if text[0] != '"' {
			end := strings.IndexAny(text, " \t")
			if end < 0 {
				end = len(text)
			}
			words, text = append(words, text[:end]), text[end:]
			continue
		}
		word, rest, closed := strings.Cut(text[1:], `"`)
		if !closed {
			return nil, fmt.Errorf("a quotation mark is not closed: %s", text)
		}
		words, text = append(words, word), rest
	}
}

// part is a part of a line of an answer.
type part struct {
	text  string
	value string // the name of a placeholder, instead of the text
}

// template is a line of an answer: its parts, and whether a line break follows.
type template struct {
	parts []part
	open  bool // no line break follows
}

// parseTemplate reads a line with its escapes and placeholders.
func parseTemplate(line string) (t template, err error) {
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			t.parts = append(t.parts, part{text: text.String()})
			text.Reset()
		}
	}
	for line != "" {
		c := line[0]
		line = line[1:]
		switch {
		case c == '\\' && line == "":
			t.open = true
		case c == '\\':
			var b byte
			if b, line, err = unescape(line); err != nil {
				return t, err
			}
			text.WriteByte(b)
		case c == '{' && placeholderOf(line) != "":
			name := placeholderOf(line)
			if !isPlaceholder(name) {
				return t, fmt.Errorf(`there is no placeholder {%s}; a brace is written as \x7b`, name)
			}
			flush()
			t.parts = append(t.parts, part{value: name})
			line = line[len(name)+1:]
		default:
			text.WriteByte(c)
		}
	}
	flush()
	return t, nil
}

// unescape reads the text after a backslash: r, n, t, a backslash, or x and two hexadecimal digits.
func unescape(line string) (b byte, rest string, err error) {
	rest = line[1:]
	switch line[0] {
	case 'r':
		return '\r', rest, nil
	case 'n':
		return '\n', rest, nil
	case 't':
		return '\t', rest, nil
	case '\\':
		return '\\', rest, nil
	case 'x':
		n, err := strconv.ParseUint(rest[:min(2, len(rest))], 16, 8)
		if err != nil || len(rest) < 2 {
			return 0, "", errors.New(`\x needs two hexadecimal digits`)
		}
		return byte(n), rest[2:], nil
	}
	return 0, "", fmt.Errorf(`there is no \%c: a backslash is written as \\`, line[0])
}

// placeholderOf returns the name of the placeholder at the start of a text, without its first brace; empty for none.
func placeholderOf(text string) string {
	name, _, closed := strings.Cut(text, "}")
	if !closed || strings.ContainsFunc(name, func(r rune) bool { return r != '-' && (r < 'a' || r > 'z') }) {
		return ""
	}
	return name
}

// placeholder is a value that a camera inserts into its answers.
type placeholder struct{ name, about string }

// placeholders are all known placeholders. The first are known from requests, the others from the camera.
var placeholders = []placeholder{
	{"cseq", "the request's number"},
	{"url", "the request's URL, without a slash behind it"},
	{"transport", "the Transport header of a camera without oddities"},
	{"session", "the session's identifier"},
	{"length", "how many bytes the body has"},
	{"sdp", "the session description of the camera's media"},
	{"video", "the video's part of the description"},
	{"audio", "the audio's part of the description; empty without audio"},
	{"fmtp", "the video's format parameters, without a=fmtp and its number"},
	{"sets", "the parameter sets of H.264 in base64, with a comma between them"},
	{"vps", "the video parameter set of H.265 in base64"},
	{"sps", "the sequence parameter set in base64"},
	{"pps", "the picture parameter set in base64"},
	{"profile", "profile-level-id of H.264"},
	{"host", "the camera's address, as the client knows it"},
	{"port", "the camera's RTSP port"},
	{"client-port", "the client's first UDP port"},
	{"server-port", "the camera's first UDP port"},
	{"seq", "the sequence number of the first packet of video"},
	{"rtptime", "the timestamp of the first picture"},
	{"ssrc", "the video's SSRC, as 8 hexadecimal digits"},
}

func isPlaceholder(name string) bool {
	return slices.ContainsFunc(placeholders, func(p placeholder) bool { return p.name == name })
}

// render appends a line with its placeholders replaced.
func (t template) render(to []byte, values func(string) string, ends string) []byte {
	for _, p := range t.parts {
		if p.value != "" {
			to = append(to, strings.ReplaceAll(values(p.value), "\n", ends)...)
		} else {
			to = append(to, p.text...)
		}
	}
	if !t.open {
		to = append(to, ends...)
	}
	return to
}
