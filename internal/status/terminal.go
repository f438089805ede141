package status

import (
	"strings"
	"unicode/utf8"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// View is what a snapshot is shown on. The zero value is as large as it needs to be, and has no colours.
type View struct {
	Width, Height int  // of the terminal; 0 for any
	Color         bool // the terminal shows colours
}

// The least terminal that is fitted to: on a smaller one lines wrap.
const (
	leastWidth  = 20
	leastHeight = 8
)

// The colours. Source: ECMA-48, select graphic rendition.
const (
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	green  = "\x1b[32m"
	plain  = "\x1b[0m"
)

// paint colours a text by what it says.
func (v View) paint(severity health.Severity, text string) string {
	if !v.Color {
		return text
	}
	color := map[health.Severity]string{health.Failed: red, health.Degraded: yellow, health.Info: green}[severity]
	if severity == health.Info && strings.HasPrefix(text, mark(health.Info)) {
		return text
	}
	return color + text + plain
}

// wrap breaks a text at spaces into lines of the view's width; those after the first are indented.
func (v View) wrap(text, indent string) []string {
	if v.Width <= 0 || utf8.RuneCountInString(text) <= v.Width {
		return []string{text}
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		for {
			if line != "" && strings.TrimSpace(line) != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > v.Width {
				lines = append(lines, line)
				line = indent
			}
			room := v.Width - utf8.RuneCountInString(line)
			if strings.TrimSpace(line) != "" || utf8.RuneCountInString(word) <= room {
				break
			}
			runes := []rune(word) // longer than a line
			lines = append(lines, line+string(runes[:max(1, room)]))
			line, word = indent, string(runes[max(1, room):])
		}
		if strings.TrimSpace(line) != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// shorten cuts a text to a width.
func shorten(text string, width int) string {
	if width <= 0 || utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:max(0, width-1)]) + "…"
}

func mark(severity health.Severity) string {
	if severity == health.Info {
		return "·"
	}
	return "!"
}
