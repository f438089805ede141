package main

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

const (
	// waitingShown is how long an answer may take before it is said what is awaited.
	waitingShown = time.Second
	// waitingRedraw is how often the line is drawn.
	waitingRedraw = time.Second
)

// waiting shows on a terminal which answer is awaited and for how long, below what is printed. Safe for concurrent use.
type waiting struct {
	out   io.Writer
	width int

	mu    sync.Mutex
	list  []await // guarded by mu, as all below: the oldest first
	next  int
	drawn bool
}

// await is a question without an answer.
type await struct {
	id    int
	what  string
	since time.Time
}

// begin notes a question; done is called when its answer came.
func (w *waiting) begin(what string) (done func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	id := w.next
	w.list = append(w.list, await{id, what, time.Now()})
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.list = slices.DeleteFunc(w.list, func(a await) bool { return a.id == id })
	}
}

// print writes above the line.
func (w *waiting) print(write func(io.Writer)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.erase()
	write(w.out)
}

// erase takes the line away.
func (w *waiting) erase() {
	if w.drawn {
		fmt.Fprint(w.out, "\r"+eraseLine)
		w.drawn = false
	}
}

// draw shows the question that was asked last, as it is part of the earlier ones.
func (w *waiting) draw() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.erase()
	if len(w.list) == 0 {
		return
	}
	last := w.list[len(w.list)-1]
	took := time.Since(last.since)
	if took < waitingShown {
		return
	}
	text := fmt.Sprintf("waiting for %s (%d s)", last.what, int(took.Seconds()))
	fmt.Fprint(w.out, "\r"+clipped(text, w.width-1)+eraseLine)
	w.drawn = true
}

// run draws until stop is called, which takes the line away.
func (w *waiting) run() (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(waitingRedraw)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				w.draw()
			case <-end:
				return
			}
		}
	}()
	return func() {
		close(end)
		<-ended
		w.print(func(io.Writer) {})
	}
}
