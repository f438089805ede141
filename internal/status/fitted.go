package status

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// causeLines is how many lines a cause takes at most.
const causeLines = 3

// cause is everything that is wrong for the same reason.
type cause struct {
	worst   sentence
	streams int // that have it, or 1 for the agent
}

// causes groups sentences by job and code, the worst first.
func causes(list []sentence) []cause {
	var groups []cause
	for _, s := range list {
		i := slices.IndexFunc(groups, func(c cause) bool { return c.worst.code == s.code && (c.worst.subject == "") == (s.subject == "") })
		if i < 0 || s.subject == "" {
			groups = append(groups, cause{s, 1})
			continue
		}
		if groups[i].streams++; s.severity > groups[i].worst.severity {
			groups[i].worst = s
		}
	}
	slices.SortStableFunc(groups, func(a, b cause) int { return cmp.Compare(b.worst.severity, a.worst.severity) })
	return groups
}

// lines writes a cause in the view's width.
func (c cause) lines(v View) []string {
	text := c.worst.text
	if c.streams > 1 {
		text += fmt.Sprintf(" (and %s)", humanize.Count(c.streams-1, "more stream"))
	}
	lines := v.wrap(text, "  ")
	if len(lines) > causeLines {
		lines = lines[:causeLines]
		lines[causeLines-1] = shorten(lines[causeLines-1]+" …", v.Width)
	}
	for i := range lines {
		lines[i] = v.paint(c.worst.severity, lines[i])
	}
	return lines
}

// writeFitted writes what fits the height: verdict and counts, the streams with a problem, the worst of
// each cause, and then the streams without a problem.
func (v View) writeFitted(b *bytes.Buffer, s Snapshot) {
	head := v.head(s)
	if len(s.Streams) == 0 {
		head = append(head, v.wrap("No stream is configured for this hub yet.", "  ")...)
	} else {
		head = append(head, v.wrap(counts(s), "  ")...)
	}
	streams := slices.Clone(s.Streams)
	slices.SortStableFunc(streams, func(x, y Stream) int {
		a, _ := worstOf(x)
		b, _ := worstOf(y)
		return cmp.Compare(b, a)
	})
	affected := len(streams)
	for i, st := range streams {
		if _, bad := worstOf(st); !bad {
			affected = i
			break
		}
	}
	var problems [][]string
	for _, c := range causes(sentences(s)) {
		problems = append(problems, c.lines(v))
	}
	room := max(0, v.Height-1-len(head)) // the last line stays empty, or the terminal would scroll
	table := v.table(s, streams, affected, room-reserved(problems, room, affected))
	room -= len(table)
	lines := slices.Concat(head, table, fill(problems, room))
	for _, line := range lines[:min(len(lines), v.Height-1)] {
		fmt.Fprintln(b, line)
	}
}

// reserved is how many lines are kept for problems while the table takes what it needs: rows of streams
// without a problem come last.
func reserved(problems [][]string, room, affected int) int {
	lines := 0
	for _, p := range problems {
		lines += len(p)
	}
	const titleAndRest = 2
	return min(lines, max(causeLines+1, room/3, room-affected-titleAndRest))
}

// fill takes as many problems as fit, and counts the others.
func fill(problems [][]string, room int) []string {
	var lines []string
	for i, p := range problems {
		last := 1 // the line that counts the others
		if i == len(problems)-1 {
			last = 0
		}
		if len(lines)+len(p)+last > room {
			if rest := fmt.Sprintf("+ %d more", len(problems)-i); len(lines) < room {
				lines = append(lines, rest)
			}
			break
		}
		lines = append(lines, p...)
	}
	return lines
}

// table is the rows of the streams that fit, those with a problem before the others. When not even these
// have a row each, their names stand side by side.
func (v View) table(s Snapshot, streams []Stream, affected, room int) []string {
	switch {
	case len(streams) == 0 || room < 2:
		return nil
	case len(streams)+1 <= room:
		return v.rows(s, streams)
	case affected+2 <= room:
		shown := room - 2
		rest := fmt.Sprintf("+ %d more", len(streams)-shown)
		if shown >= affected {
			rest += " without a problem"
		}
		return append(v.rows(s, streams[:shown]), rest)
	}
	return v.names(streams[:affected], len(streams)-affected, room)
}

// names lists marked names in as few lines as they need, at most room of them.
func (v View) names(streams []Stream, well, room int) []string {
	lines := []string{""}
	length := 0
	for i, st := range streams {
		name := shorten(st.Name, v.Width/2)
		worst, _ := worstOf(st)
		width := len([]rune(name)) + 2
		if v.Width > 0 && length > 0 && length+len(between)+width > v.Width {
			if len(lines) == room-1 {
				return append(lines, fmt.Sprintf("+ %s with a problem", humanize.Count(len(streams)-i, "more stream")))
			}
			lines, length = append(lines, ""), 0
		}
		if length > 0 {
			lines[len(lines)-1] += between
			length += len(between)
		}
		lines[len(lines)-1] += v.paint(max(worst, health.Degraded), mark(worst)) + " " + name
		length += width
	}
	if well > 0 && len(lines) < room {
		lines = append(lines, fmt.Sprintf("+ %s without a problem", humanize.Count(well, "more stream")))
	}
	return lines
}
