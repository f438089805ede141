package agent

import "sync"

// nudges let jobs know that their stream may have been changed in the cloud. Safe for concurrent use.
type nudges struct {
	mu      sync.Mutex
	streams map[string]chan nudge // guarded by mu
}

// nudge is a reason to ask the cloud again.
type nudge uint8

const (
	nudgeChanged nudge = iota + 1 // something about the stream was changed
	nudgeRights                   // rights may have been granted: ask even what was denied
)

// of is where the nudges of a stream arrive; of several that nobody took yet the first.
func (n *nudges) of(stream string) chan nudge {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.streams == nil {
		n.streams = make(map[string]chan nudge)
	}
	if n.streams[stream] == nil {
		n.streams[stream] = make(chan nudge, 1)
	}
	return n.streams[stream]
}

// nudge notifies a stream's job.
func (n *nudges) nudge(stream string, why nudge) {
	select {
	case n.of(stream) <- why:
	default:
	}
}

// nudgeAll notifies every stream that ever had a job.
func (n *nudges) nudgeAll(why nudge) {
	n.mu.Lock()
	streams := make([]string, 0, len(n.streams))
	for stream := range n.streams {
		streams = append(streams, stream)
	}
	n.mu.Unlock()
	for _, stream := range streams {
		n.nudge(stream, why)
	}
}
