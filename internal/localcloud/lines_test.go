package localcloud

import (
	"strings"
	"sync"
	"testing"
)

// lines is what the local cloud writes about calls or refusals.
type lines struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
}

func newLines() *lines { return &lines{changed: make(chan struct{})} }

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await waits for a line that has all parts.
func (l *lines) await(t *testing.T, parts ...string) {
	t.Helper()
	ctx := waiting(t)
	for {
		l.mu.Lock()
		changed, text := l.changed, l.text.String()
		l.mu.Unlock()
		for line := range strings.Lines(text) {
			missing := 0
			for _, part := range parts {
				if !strings.Contains(line, part) {
					missing++
				}
			}
			if missing == 0 {
				return
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("no line with %q in:\n%s", parts, text)
		}
	}
}
