package logevent

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap/zapcore"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// Page is docs/logs.md.
func Page() []byte {
	var b bytes.Buffer
	b.WriteString("# The log, line by line\n\nGenerated from the code by `make docs`. Where the log is and how to see more of it: " +
		"[troubleshooting](troubleshooting.md#logs).\n\n" +
		"Each line above `DEBUG` has a field `event`, which stays the same when the text of the message changes: make alerts of it. " +
		"In the file a\nline is a JSON object; in the journal its fields follow the message as JSON. Fields that several events have:\n\n" +
		"| field | meaning |\n|---|---|\n" +
		"| `event` | the name of the event, or the code of the condition |\n" +
		"| `code`, `class` | of a line about a condition: its code and class, as in `status --json`. " +
		"Only `code` may have a name after a slash, as in `config-refused/door`; `event` never has |\n" +
		"| `stream`, `job` | whom the line is about, as in `status --json` |\n" +
		"| `error` | why something failed; of a condition it is the sentence that `status` shows |\n" +
		"| `cause` | the error beneath that sentence, for a report to the developers |\n" +
		"| `repeated` | how many equal lines were left out before this one |\n\n" +
		"Durations are in seconds, sizes in bytes, times as in ISO 8601. " +
		"No field holds a secret: a camera's URL is named by the ARN of its secret.\n\n" +
		"While nothing fails, an agent that records and uploads logs nothing between its start and its end. An uploading stream never logs\n" +
		"each segment; one that is not uploaded logs `segment-deleted` for each that its retention deletes.\n")
	for _, g := range Groups {
		fmt.Fprintf(&b, "\n## %s\n| event | level | message | meaning, and what to do |\n|---|---|---|---|\n", g.Title)
		for _, row := range g.Rows {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", row.Event, levelName(row.Level), row.Message, row.Help)
		}
	}
	b.WriteString("\n## Conditions\nA condition is logged when it is new. The sentence in `error` says what to do, " +
		"and the last column leads to more.\n\n" +
		"| event | level | message | more |\n|---|---|---|---|\n")
	for _, d := range health.Declarations {
		fmt.Fprintf(&b, "| `%s` | %s | %s | [%s](troubleshooting.md#%s) |\n", d.Code, levelName(LevelOf(d.Code)), messageOf(d),
			strings.ReplaceAll(d.Anchor, "-", " "), d.Anchor)
	}
	return b.Bytes()
}

func levelName(l zapcore.Level) string { return "`" + l.CapitalString() + "`" }

// properNames are first words of titles that keep their capital letter, beside those with another one or a
// digit in them, such as AWS, SiteWise and H.264.
var properNames = []string{"Greengrass", "Kinesis", "Matroska"}

// messageOf is the title of a condition with a small letter, as messages begin, unless its first word is a name.
func messageOf(d health.Declaration) string {
	word, _, _ := strings.Cut(d.Title, " ")
	first, size := utf8.DecodeRuneInString(d.Title)
	name, _, _ := strings.Cut(strings.TrimRight(word, ",:;"), "'")
	inName := func(r rune) bool { return unicode.IsUpper(r) || unicode.IsDigit(r) }
	if d.Title == "" || slices.Contains(properNames, name) || strings.IndexFunc(word[min(size, len(word)):], inName) >= 0 {
		return d.Title
	}
	return string(unicode.ToLower(first)) + d.Title[size:]
}
