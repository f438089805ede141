package media

import (
	"strings"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archive"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/callrate"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// streamState is everything the service keeps of one stream.
type streamState struct {
	service  *Service
	name     string
	fragPace *pace
	bytePace *pace
	puts     callrate.Rate
	gets     callrate.Rate
	takeover sync.Mutex // held while one session replaces another

	mu        sync.Mutex
	changed   chan struct{} // closed and replaced whenever something below changes
	fragments []Fragment
	frames    int // of all fragments
	session   *session
	readers   map[*reader]struct{} // GetMedia connections
	stats     Stats
	current   *archive.File // what is appended to; nil until the first session
}

func newStreamState(s *Service, name string) *streamState {
	return &streamState{
		service: s, name: name, changed: make(chan struct{}), readers: map[*reader]struct{}{},
		fragPace: newPace(s.o.Limits.FragmentsPerSecond, s.o.Limits.FragmentsPerSecond),
		bytePace: newPace(s.o.Limits.BytesPerSecond, s.o.Limits.BytesPerSecond/4),
		puts:     callrate.Rate{N: s.o.Limits.PutMediaPerSecond},
		gets:     callrate.Rate{N: s.o.Limits.GetMediaPerSecond},
	}
}

// add takes a stored fragment into the list. The stream's mutex is held, or nobody knows the stream yet.
func (st *streamState) add(f Fragment) {
	st.fragments = append(st.fragments, f)
	st.frames += f.Frames
	if len(f.Tags) > 0 {
		st.stats.Tagged++
	}
}

// update changes the state and wakes those who wait for it.
func (st *streamState) update(change func()) {
	st.mu.Lock()
	defer st.mu.Unlock()
	change()
	close(st.changed)
	st.changed = make(chan struct{})
}

func (st *streamState) close() error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.current == nil {
		return nil
	}
	return st.current.Close()
}

// cut resets the stream's open connections.
func (st *streamState) cut() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.session != nil {
		st.session.cancel(errCut)
	}
	for r := range st.readers {
		r.cancel(errCut)
	}
}

// takeOver makes next the stream's one session, after the previous one has ended.
func (st *streamState) takeOver(next *session) {
	st.takeover.Lock()
	defer st.takeover.Unlock()
	st.mu.Lock()
	old := st.session
	if old != nil {
		st.stats.Displaced++
	}
	st.mu.Unlock()
	if old != nil {
		old.cancel(errDisplaced)
		<-old.done
	}
	st.update(func() {
		st.session = next
		st.stats.Sessions++
	})
}

// release is the end of a session.
func (st *streamState) release(old *session) {
	st.update(func() {
		if st.session == old {
			st.session = nil
		}
	})
	close(old.done)
}

// fileFor returns the file that fragments with that header are appended to.
func (st *streamState) fileFor(h *strictmkv.Header) (*archive.File, error) {
	if st.current == nil {
		if err := st.reopen(); err != nil {
			return nil, err
		}
	}
	if st.current != nil && st.current.Takes(h) {
		return st.current, nil
	}
	next, err := st.service.archive.Create(st.name, h)
	if err != nil {
		return nil, err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.current != nil {
		if err := st.current.Close(); err != nil {
			return nil, err
		}
	}
	st.current = next
	return next, nil
}

// reopen continues the file that an earlier run wrote last.
func (st *streamState) reopen() (err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.fragments) > 0 {
		st.current, err = st.service.archive.Continue(st.fragments[len(st.fragments)-1])
	}
	return err
}

// validName reports whether the name is one that CreateStream allows.
func validName(name string) bool {
	if name == "" || len(name) > 256 {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.' || r == '-')
	})
}

// wait lets d pass, or less when the session ends.
func wait(done <-chan struct{}, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-done:
	}
}
