package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// column is one of the table of streams. Where the terminal is narrow those go first whose keep is least.
type column struct {
	title string
	keep  int
	cell  func(now time.Time, st Stream) string
}

// columns are those that streams have on every hub.
var columns = []column{
	{"STREAM", 11, func(_ time.Time, st Stream) string { return st.Name }},
	{"RECORDER", 10, func(now time.Time, st Stream) string { return withNext(now, st.Recorder.Job) }},
	{"SINCE", 7, func(now time.Time, st Stream) string { return ago(now, recorderSince(st)) }},
	{"LAST FRAME", 4, func(now time.Time, st Stream) string { return ago(now, st.Recorder.LastFrame) }},
	{"BITRATE", 5, func(_ time.Time, st Stream) string { return humanize.Bitrate(st.Recorder.BitrateBPS) }},
	{"FPS", 2, func(_ time.Time, st Stream) string { return fmt.Sprintf("%.1f", st.Recorder.FPS) }},
	{"LOST", 3, func(_ time.Time, st Stream) string { return fmt.Sprint(st.Recorder.FramesLost) }},
	{"UPLOADER", 9, func(now time.Time, st Stream) string { return withEvents(now, st.Uploader) }},
	{"BACKLOG", 8, func(_ time.Time, st Stream) string { return backlog(st.Uploader) }},
	{"PERSISTED", 1, func(now time.Time, st Stream) string { return ago(now, st.Uploader.LastPersisted) }},
	{"SPACE", 6, func(_ time.Time, st Stream) string { return space(st.Space) }},
}

// withEvents is the state of an upload, with the events that it follows.
func withEvents(now time.Time, u Uploader) string {
	state := withNext(now, u.Job)
	switch {
	case u.OpenEvents > 0:
		return state + ", " + humanize.Count(u.OpenEvents, "open event")
	case u.EventsNotUploaded > 0:
		return state + ", " + humanize.Count(u.EventsNotUploaded, "event")
	}
	return state
}

// columnsOf are the columns and one for each job that has none of them.
func columnsOf(streams []Stream) []column {
	all := slices.Clone(columns)
	for _, st := range streams {
		for _, job := range st.Jobs {
			title := strings.ToUpper(job.Name)
			if slices.ContainsFunc(all, func(c column) bool { return c.title == title }) {
				continue
			}
			all = append(all, column{title, 9, func(now time.Time, st Stream) string {
				if i := slices.IndexFunc(st.Jobs, func(j NamedJob) bool { return j.Name == job.Name }); i >= 0 {
					return withNext(now, st.Jobs[i].Job)
				}
				return ""
			}})
		}
	}
	return all
}

const (
	between = "  " // two columns
	// leastCell is what a column is shortened to before another one goes.
	leastCell = 23
)

// withNext adds to the state of a job that waits when it starts next.
func withNext(now time.Time, j Job) string {
	if j.NextWindow.IsZero() {
		return j.State
	}
	return j.State + " until " + humanize.Soon(j.NextWindow.Local(), now.Local())
}

// recorderSince is since when a stream's recording is as it is: a camera that is off is tried repeatedly.
func recorderSince(st Stream) time.Time {
	for _, c := range st.Conditions {
		if c.Job == health.JobRecorder && c.Severity == health.Failed && c.Since.Before(st.Recorder.Since) {
			return c.Since
		}
	}
	return st.Recorder.Since
}

// rows is the table of some streams with its title, in the view's width. Streams with a problem are marked.
func (v View) rows(s Snapshot, streams []Stream) []string {
	if len(streams) == 0 {
		return nil
	}
	columns := columnsOf(streams)
	cells := make([][]string, 0, len(streams)+1)
	widths := make([]int, len(columns))
	title := make([]string, len(columns))
	for i, column := range columns {
		title[i] = column.title
	}
	cells = append(cells, title)
	for _, st := range streams {
		row := make([]string, len(columns))
		for i, column := range columns {
			row[i] = column.cell(s.Time, st)
		}
		cells = append(cells, row)
	}
	for _, row := range cells {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	marked := slices.ContainsFunc(streams, func(st Stream) bool { _, bad := worstOf(st); return bad })
	v.narrow(columns, widths, marked)
	lines := make([]string, len(cells))
	for i, row := range cells {
		lines[i] = v.row(row, widths)
		if !marked {
			continue
		}
		sign, severity := " ", health.Info
		if i > 0 {
			if worst, bad := worstOf(streams[i-1]); bad {
				sign, severity = mark(worst), worst
			}
		}
		if sign != " " {
			sign = v.paint(severity, sign)
		}
		lines[i] = sign + " " + lines[i]
	}
	return lines
}

func (v View) row(cells []string, widths []int) string {
	var line strings.Builder
	for i, cell := range cells {
		if widths[i] == 0 {
			continue
		}
		cell = shorten(cell, widths[i])
		line.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)) + between)
	}
	return strings.TrimRight(line.String(), " ")
}

// narrow sets widths to what fits: columns go, the least needed first, as long as the wide ones cannot be shortened.
func (v View) narrow(columns []column, widths []int, marked bool) {
	if v.Width <= 0 {
		return
	}
	room := v.Width
	if marked {
		room -= 2
	}
	total := func() (wide, least int) {
		for _, w := range widths {
			if w > 0 {
				wide, least = wide+w+len(between), least+min(w, leastCell)+len(between)
			}
		}
		return wide - len(between), least - len(between)
	}
	for {
		wide, least := total()
		if wide <= room {
			return
		}
		if least <= room {
			break
		}
		victim := -1
		for i, w := range widths {
			if w > 0 && (victim < 0 || columns[i].keep < columns[victim].keep) {
				victim = i
			}
		}
		if columns[victim].keep >= 10 {
			break
		}
		widths[victim] = 0
	}
	for wide, _ := total(); wide > room; wide, _ = total() { // the widest is shortened
		widest := 0
		for i, w := range widths {
			if w > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= 1 {
			return
		}
		widths[widest]--
	}
}

func backlog(u Uploader) string {
	refused := ""
	if u.FragmentsRefused > 0 {
		refused = fmt.Sprintf("%s refused, %s", humanize.Count(u.FragmentsRefused, "fragment"), humanize.Bytes(u.RefusedBytes))
	}
	if asked := requested(u.Requests); asked != "" {
		refused = strings.TrimSuffix(asked+"; "+refused, "; ")
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

// requested says how far the uploads on demand are.
func requested(list []Request) string {
	if len(list) == 0 {
		return ""
	}
	done, total := 0, 0
	for _, r := range list {
		done, total = done+r.Done, total+r.Total
	}
	text := fmt.Sprintf("%d of %d fragments requested", done, total)
	if len(list) > 1 {
		text += fmt.Sprintf(" by %d", len(list))
	}
	return text
}

func space(s Space) string {
	text := humanize.Bytes(s.UsedBytes - s.HeldBytes)
	if s.LimitBytes > 0 {
		text = fmt.Sprintf("%s of %s (%d %%)", text, humanize.Bytes(s.LimitBytes), (s.UsedBytes-s.HeldBytes)*100/s.LimitBytes)
	}
	switch {
	case s.Holds == 0 && s.HeldBytes > 0:
		text += fmt.Sprintf(" and %s held (its holds cannot be read)", humanize.Bytes(s.HeldBytes))
	case s.Holds > 0:
		text += fmt.Sprintf(" and %s held (%s)", humanize.Bytes(s.HeldBytes), humanize.Count(s.Holds, "hold"))
	}
	return text + fits(s.Forecast.Days)
}

func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return humanize.Span(now.Sub(t))
}
