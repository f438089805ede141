package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

const (
	barRedraw  = 200 * time.Millisecond
	linesEvery = 10 * time.Second // where no terminal shows a bar
	barWidth   = 24
	// speedAfter is how long one must have run for its speed to be meaningful.
	speedAfter = time.Second
)

// progress shows how far something of known size has come: as a bar on a terminal, as a line now and then elsewhere.
type progress struct {
	out      io.Writer
	terminal terminal
	doing    string // "exporting"
	now      func() time.Time
	began    time.Time
	shown    time.Time
	skipped  int64 // bytes that were done at the beginning
	drawn    bool
}

func newProgress(out io.Writer, doing string) *progress {
	p := &progress{out: out, terminal: terminalOf(out), doing: doing, now: time.Now}
	p.began = p.now()
	if !p.terminal.present { // a bar is shown at once
		p.shown = p.began
	}
	return p
}

// show says that done of total bytes are done.
func (p *progress) show(done, total int64) {
	now, every := p.now(), linesEvery
	if p.terminal.present {
		every = barRedraw
	}
	if now.Sub(p.shown) < every {
		return
	}
	p.shown = now
	text := p.text(done, total, now.Sub(p.began))
	if !p.terminal.present {
		fmt.Fprintln(p.out, text)
		return
	}
	p.drawn = true
	fmt.Fprint(p.out, "\r", clipped(p.bar(done, total)+text, p.terminal.width-1), eraseLine)
}

// text is the line without the bar.
func (p *progress) text(done, total int64, took time.Duration) string {
	text := fmt.Sprintf("%s: %d %%, %s of %s", p.doing, percent(done, total), humanize.Bytes(done), humanize.Bytes(total))
	if moved := done - p.skipped; took >= speedAfter && moved > 0 {
		speed := float64(moved) / took.Seconds()
		left := time.Duration(float64(total-done) / speed * float64(time.Second))
		text += fmt.Sprintf(", %s/s, %s left", humanize.Bytes(int64(speed)), humanize.Span(left))
	}
	return text
}

func (p *progress) bar(done, total int64) string {
	full := int(percent(done, total)) * barWidth / 100
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", barWidth-full) + "] "
}

func percent(done, total int64) int64 {
	if total <= 0 {
		return 100
	}
	return min(100, done*100/total)
}

// clipped cuts a line to a width, 0 or less for none.
func clipped(text string, width int) string {
	if runes := []rune(text); width > 0 && len(runes) > width {
		return string(runes[:width])
	}
	return text
}

// end takes the bar away.
func (p *progress) end() {
	if p.drawn {
		fmt.Fprint(p.out, "\r"+eraseLine)
		p.drawn = false
	}
}

// lineEvery is the least time between two lines of an upload.
const lineEvery = time.Second
