package iotconfig

import (
	"fmt"
	"testing"
)

// TestTheOutboxIsBounded has a broker that acknowledges nothing: only the last status of a stream is kept.
func TestTheOutboxIsBounded(t *testing.T) {
	t.Parallel()
	b := newOutbox()
	const streams = 3000
	for i := range streams {
		b.put(publication{about: fmt.Sprint("stream", i)})
	}
	b.setOnline(true)
	for i := range 20 * maxQueued {
		b.put(publication{about: fmt.Sprint("again", i%10)})
	}
	if n := len(b.queue); n > 2*streams+2*maxQueued {
		t.Errorf("%d publications wait", n)
	}
}
