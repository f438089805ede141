package status

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// WriteTable writes the snapshot as a person likes to read it: a line for the agent, a row for
// each stream, and below them one sentence for everything that wants attention.
func WriteTable(w io.Writer, s Snapshot) error { return View{}.Write(w, s) }

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

// Write writes the snapshot. Where not all fits, what is wrong comes first and the rest is counted.
func (v View) Write(w io.Writer, s Snapshot) error {
	if v.Width > 0 {
		v.Width = max(v.Width, leastWidth)
	}
	if v.Height > 0 {
		v.Height = max(v.Height, leastHeight)
	}
	var b bytes.Buffer
	if v.Height > 0 {
		v.writeFitted(&b, s)
	} else {
		v.writeWhole(&b, s)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (v View) writeWhole(b *bytes.Buffer, s Snapshot) {
	for _, line := range v.head(s) {
		fmt.Fprintln(b, line)
	}
	fmt.Fprintln(b)
	if len(s.Streams) == 0 && len(s.Orphans) == 0 {
		b.WriteString("No stream is configured for this hub yet.\n")
	}
	for _, line := range v.rows(s, s.Streams) {
		fmt.Fprintln(b, line)
	}
	for i, sentence := range sentences(s) {
		if i == 0 {
			fmt.Fprintln(b)
		}
		fmt.Fprintln(b, v.paint(sentence.severity, sentence.text))
	}
}

// head is the agent's line, and another with counts; on a narrow terminal they are wrapped.
func (v View) head(s Snapshot) []string {
	about := fmt.Sprintf("%s  %s  version %s  up %s  disk %s free of %s%s", s.Thing, s.Verdict, s.Version,
		humanize.Span(s.Time.Sub(s.Started)), humanize.Bytes(s.Disk.FreeBytes), humanize.Bytes(s.Disk.TotalBytes), fits(s.Disk.Forecast.Days))
	lines := v.wrap(about, "  ")
	lines[0] = strings.Replace(lines[0], string(s.Verdict), v.paint(severityOf(s.Verdict), string(s.Verdict)), 1)
	return lines
}

// counts says how many streams are well and how many are not.
func counts(s Snapshot) string {
	var failed, degraded, recording int
	for _, st := range s.Streams {
		if st.Recorder.State == "recording" {
			recording++
		}
		switch worst, _ := worstOf(st); worst {
		case health.Failed:
			failed++
		case health.Degraded:
			degraded++
		}
	}
	return fmt.Sprintf("%s: %d recording, %d failed, %d degraded, %d without a problem", humanize.Count(len(s.Streams), "stream"),
		recording, failed, degraded, len(s.Streams)-failed-degraded)
}

func severityOf(v Verdict) health.Severity {
	switch v {
	case Down:
		return health.Failed
	case Degraded:
		return health.Degraded
	}
	return health.Info
}

// worstOf is the severity of a stream's worst condition; ok is false when it has none but information.
func worstOf(st Stream) (worst health.Severity, ok bool) {
	for _, c := range st.Conditions {
		worst = max(worst, c.Severity)
	}
	return worst, worst > health.Info
}

// sentence is a line below the table.
type sentence struct {
	severity health.Severity
	code     string
	subject  string // the stream; "" for the agent
	text     string
}

// sentences are all that want attention, in the order of the streams.
func sentences(s Snapshot) []sentence {
	var list []sentence
	add := func(subject string, c Condition) {
		name := subject
		if name == "" {
			name = "agent"
		}
		text := fmt.Sprintf("%s %s %s: %s (since %s)", mark(c.Severity), name, c.Job, c.Text, humanize.Span(s.Time.Sub(c.Since)))
		list = append(list, sentence{c.Severity, c.Job + " " + c.Code, subject, text})
	}
	for _, c := range s.Agent {
		add("", c)
	}
	for _, st := range s.Streams {
		for _, c := range st.Conditions {
			add(st.Name, c)
		}
		if text := secretRead(s.Time, st); text != "" {
			list = append(list, sentence{health.Info, "secret-read", st.Name, fmt.Sprintf("%s %s recorder: %s", mark(health.Info), st.Name, text)})
		}
		if text := deletions(st); text != "" {
			list = append(list, sentence{health.Info, "deletion", st.Name, fmt.Sprintf("%s %s retention: %s", mark(health.Info), st.Name, text)})
		}
	}
	for _, o := range s.Orphans {
		for _, c := range o.Conditions {
			add(o.Name, c)
		}
		list = append(list, sentence{health.Info, "orphan", o.Name, fmt.Sprintf("%s %s retention: %s", mark(health.Info), o.Name, o.sentence())})
	}
	return list
}

func mark(severity health.Severity) string {
	if severity == health.Info {
		return "·"
	}
	return "!"
}

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

// secretRead says how old the address is of a camera that is in trouble.
func secretRead(now time.Time, st Stream) string {
	trouble := slices.ContainsFunc(st.Conditions, func(c Condition) bool { return c.Job == health.JobRecorder && c.Severity == health.Failed })
	switch {
	case !trouble:
		return ""
	case st.Recorder.SecretRead.IsZero():
		return "No URL of the camera was ever read from its secret; `kvs-edge-agent reload` reads it at once."
	default:
		return fmt.Sprintf("The camera's secret was last read %s ago; `kvs-edge-agent reload` reads it at once.", humanize.Span(now.Sub(st.Recorder.SecretRead)))
	}
}

func backlog(u Uploader) string {
	refused := ""
	if u.FragmentsRefused > 0 {
		refused = fmt.Sprintf("%s refused, %s", humanize.Count(u.FragmentsRefused, "fragment"), humanize.Bytes(u.RefusedBytes))
	}
	if u.BacklogBytes == 0 {
		return cmp.Or(refused, "none")
	}
	text := fmt.Sprintf("%s, %s", humanize.Span(time.Duration(u.BacklogSeconds*float64(time.Second))), humanize.Bytes(u.BacklogBytes))
	if !u.BacklogDone.IsZero() {
		text += ", done at about " + humanize.Minute(u.BacklogDone.Local())
	}
	if refused != "" {
		text += "; " + refused
	}
	return text
}

func space(s Space) string {
	text := humanize.Bytes(s.UsedBytes)
	if s.LimitBytes > 0 {
		text = fmt.Sprintf("%s of %s (%d %%)", text, humanize.Bytes(s.LimitBytes), s.UsedBytes*100/s.LimitBytes)
	}
	return text + fits(s.Forecast.Days)
}

// fits says for how long the space does.
func fits(days float64) string {
	if days <= 0 {
		return ""
	}
	return ", holds " + humanize.ShortDays(days)
}

// deletions says what retention is about to delete that is not uploaded.
func deletions(st Stream) string {
	f := st.Space.Forecast
	if f.NextNotUploaded == 0 {
		return ""
	}
	return fmt.Sprintf("the next pass deletes %s, of which %s are not uploaded.", humanize.Bytes(f.NextBytes),
		humanize.Bytes(f.NextNotUploaded))
}

func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return humanize.Span(now.Sub(t))
}
