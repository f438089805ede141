package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// atSpeed shows the progress of 1 GB in 20 s, a step each 100 ms.
func atSpeed(p *progress) {
	clock := time.Unix(1_800_000_000, 0)
	p.now = func() time.Time { return clock }
	p.began, p.shown = clock, clock
	for done := int64(0); done <= 1e9; done += 5e6 {
		p.show(done, 1e9)
		clock = clock.Add(100 * time.Millisecond)
	}
	p.end()
}

func TestProgressIsLinesWhereNoTerminalIs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	atSpeed(newProgress(&out, "exporting"))
	want := "exporting: 50 %, 500.0 MB of 1.0 GB, 50.0 MB/s, 10 s left\nexporting: 100 %, 1.0 GB of 1.0 GB, 50.0 MB/s, 0.0 s left\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestProgressIsABarOnATerminal(t *testing.T) {
	t.Parallel()
	for _, width := range []int{0, 200, 60, 30} {
		var out bytes.Buffer
		p := newProgress(&out, "exporting")
		p.terminal = terminal{present: true, width: width}
		atSpeed(p)
		if width == 0 && !strings.Contains(out.String(), "[############------------] exporting: 50 %, 500.0 MB of 1.0 GB, 50.0 MB/s, 10 s left") {
			t.Errorf("it shows %q", out.String())
		}
		for _, line := range strings.Split(strings.TrimSuffix(out.String(), "\r"+eraseLine), "\r") {
			if n := len(strings.TrimSuffix(line, eraseLine)); width > 0 && n >= width || strings.Contains(line, "\n") {
				t.Errorf("on %d columns a line has %d: %q", width, n, line)
			}
		}
		if !strings.HasSuffix(out.String(), "\r"+eraseLine) {
			t.Errorf("the bar stays: %q", out.String())
		}
	}
}
