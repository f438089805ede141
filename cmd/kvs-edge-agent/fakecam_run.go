package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
)

// sessionPoll is how often the sessions of the camera are checked.
const sessionPoll = 200 * time.Millisecond

// The lines of --json.
type (
	fakecamLine struct {
		Event string   `json:"event"` // camera
		URLs  []string `json:"urls"`
	}
	fakecamSessionLine struct {
		Event   string    `json:"event"` // session_began or session_ended
		Time    time.Time `json:"time"`
		Session int       `json:"session"`
		Frames  *int      `json:"frames,omitempty"` // these when it has ended
		Skipped *int      `json:"skipped,omitempty"`
		First   *uint64   `json:"first_counter,omitempty"`
		Last    *uint64   `json:"last_counter,omitempty"`
	}
	fakecamOddityLine struct {
		Event  string    `json:"event"` // oddity
		Time   time.Time `json:"time"`
		Oddity string    `json:"oddity"`
		Over   bool      `json:"over"` // what it did is undone
	}
)

// fakecamRun is a camera that runs.
type fakecamRun struct {
	camera *fakecam.Camera
	timed  []timedOddity
	asJSON bool

	mu      sync.Mutex // guards what follows
	out     io.Writer
	began   int          // sessions whose beginning was printed
	ongoing map[int]bool // sessions whose end was not
}

// say prints a line, in one of its two forms.
func (r *fakecamRun) say(at time.Time, object any, format string, args ...any) {
	if r.asJSON {
		_ = json.NewEncoder(r.out).Encode(object)
		return
	}
	fmt.Fprintf(r.out, "%s  %s\n", at.Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// announce prints where the camera is and what to do with it.
func (r *fakecamRun) announce(o fakecamOptions) {
	urls := printedURLs(r.camera.URL(), o.tlsFingerprint)
	if r.asJSON {
		r.say(time.Time{}, fakecamLine{"camera", urls}, "")
		return
	}
	fmt.Fprint(r.out, "The fake camera is on; Ctrl-C switches it off.\n\n")
	for _, u := range urls {
		fmt.Fprintf(r.out, "  %s\n", u)
	}
	first := shellQuoted(urls[0])
	fmt.Fprintf(r.out, "\nCommands to try in another shell:\n\n  ffplay -rtsp_transport tcp %s\n", first)
	if o.codec != "mjpeg" { // which cannot be recorded
		fmt.Fprintf(r.out, "  kvs-edge-agent record --dir recordings %s\n", first)
		if o.stamps {
			fmt.Fprint(r.out, "  kvs-edge-agent fakecam stamps recordings/*/*.mkv\n")
		}
	}
	fmt.Fprintln(r.out)
}

// follow prints what happens, and makes it happen, until ctx ends.
func (r *fakecamRun) follow(ctx context.Context) {
	var all sync.WaitGroup
	for _, odd := range r.timed {
		all.Go(func() { r.disturb(ctx, odd) })
	}
	for backoff.Sleep(ctx, sessionPoll) == nil {
		r.report()
	}
	all.Wait()
}

// disturb does an oddity each time that its duration is over.
func (r *fakecamRun) disturb(ctx context.Context, odd timedOddity) {
	for backoff.Sleep(ctx, odd.every) == nil {
		odd.do(r.camera)
		r.sayOddity(odd.name, false)
		if odd.undo == nil {
			continue
		}
		_ = backoff.Sleep(ctx, oddityPause)
		odd.undo(r.camera)
		r.sayOddity(odd.name, true)
	}
}

func (r *fakecamRun) sayOddity(name string, over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := name
	if over {
		text += " is over"
	}
	now := time.Now()
	r.say(now, fakecamOddityLine{"oddity", now, name, over}, "%s", text)
}

// report prints which sessions have begun and ended since it was last called.
func (r *fakecamRun) report() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ongoing == nil {
		r.ongoing = make(map[int]bool)
	}
	sessions := r.camera.Sessions()
	for n := r.began; n < len(sessions); n++ {
		r.ongoing[n] = true
		began := sessions[n].Began
		r.say(began, fakecamSessionLine{Event: "session_began", Time: began, Session: n + 1}, "session %d began", n+1)
	}
	r.began = len(sessions)
	for n, s := range sessions {
		if !r.ongoing[n] || s.Ended.IsZero() {
			continue
		}
		delete(r.ongoing, n)
		line := fakecamSessionLine{Event: "session_ended", Time: s.Ended, Session: n + 1, Frames: &s.Frames, Skipped: &s.Skipped}
		counters := ""
		if s.Frames > 0 {
			line.First, line.Last = &s.First, &s.Last
			counters = fmt.Sprintf(", counters %d to %d", s.First, s.Last)
		}
		if s.Skipped > 0 {
			counters += fmt.Sprintf(", %d left out because the reader was slow", s.Skipped)
		}
		r.say(s.Ended, line, "session %d ended after %.1f s: %d frames sent%s", n+1, s.Ended.Sub(s.Began).Seconds(), s.Frames, counters)
	}
}
